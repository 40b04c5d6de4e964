/** Inlined into the page. It loads no font, so that the page works without the internet. */
export const tryStyle = `
:root { color-scheme: light dark; --bg: #fff; --soft: #f4f5f7; --line: #dcdfe4; --text: #1c2024; --dim: #60646c;
  --blue: #0b68cb; --green: #14804a; --red: #c62a2f; --violet: #7c5ac2; }
@media (prefers-color-scheme: dark) { :root { --bg: #111315; --soft: #1a1d20; --line: #2f3439; --text: #e6e8ea; --dim: #9ba1a6;
  --blue: #6cb6ff; --green: #57c98a; --red: #ff8b8f; --violet: #b8a0f0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 5rem; background: var(--bg); color: var(--text); font: 16px/1.55 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.9rem; letter-spacing: -0.02em; }
h1 small { color: var(--dim); font-size: 1rem; font-weight: 400; letter-spacing: 0; }
a { color: var(--blue); text-decoration: none; } a:hover { text-decoration: underline; }
p { margin: 0.5rem 0; }
code, pre { font: 0.86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
code { background: var(--soft); border-radius: 4px; padding: 0.1em 0.3em; overflow-wrap: anywhere; }
body { max-width: 84rem; padding-top: 1.25rem; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 0.25rem 1rem; margin-bottom: 1.25rem; }
header nav { margin-left: auto; display: flex; gap: 1rem; }
#state { display: inline-flex; align-items: center; gap: 0.45rem; margin: 0; padding: 0.1rem 0.75rem; border: 1px solid var(--line);
  border-radius: 99px; font-size: 0.9rem; }
#state::before { content: ""; width: 0.6rem; height: 0.6rem; border-radius: 50%; background: var(--dim); }
#state[data-state="open"]::before { background: var(--green); }
#state[data-state="waiting"]::before, #state[data-state="connecting"]::before { background: var(--violet); }
#state[data-state="closed"]::before { background: var(--red); }

main { display: grid; grid-template-columns: 22rem minmax(0, 1fr); gap: 1.25rem; align-items: start; }
.column { display: grid; gap: 1.25rem; min-width: 0; }
section { min-width: 0; padding: 0.9rem 1.1rem 1.1rem; border: 1px solid var(--line); border-radius: 10px; }
section > header { margin: 0; }
h2 { margin: 0 0 0.5rem; font-size: 1.05rem; }
h2 small { color: var(--dim); font-weight: 400; }
.hint { margin-bottom: 0; color: var(--dim); font-size: 0.85rem; line-height: 1.45; }

form { display: grid; gap: 0.6rem; }
.row { display: flex; gap: 0.5rem; align-items: end; } .row > label { flex: 1; min-width: 0; }
.buttons { display: flex; flex-wrap: wrap; gap: 0.5rem; }
label { display: grid; gap: 0.15rem; font-size: 0.85rem; color: var(--dim); }
label.check { display: flex; align-items: center; gap: 0.4rem; color: var(--text); }
input:not([type="checkbox"]), select, textarea { width: 100%; min-height: 2.3rem; padding: 0.35rem 0.55rem; border: 1px solid var(--line);
  border-radius: 6px; background: var(--bg); color: var(--text); font: inherit; font-size: 0.95rem; }
textarea { min-height: 4.2rem; resize: vertical; }
input:disabled, textarea:disabled { background: var(--soft); color: var(--dim); }
button { min-height: 2.3rem; padding: 0.3rem 0.9rem; border: 1px solid var(--line); border-radius: 6px; background: var(--soft);
  color: var(--text); font: inherit; font-size: 0.95rem; cursor: pointer; }
button:hover:not(:disabled) { border-color: var(--dim); }
button[type="submit"] { background: var(--blue); border-color: var(--blue); color: var(--bg); font-weight: 600; }
button:disabled { opacity: 0.5; cursor: default; }
:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }

dl { display: grid; grid-template-columns: auto 1fr; gap: 0.1rem 0.75rem; margin: 0.75rem 0; font-size: 0.9rem; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
#topics { display: flex; flex-wrap: wrap; gap: 0.4rem; margin: 0.6rem 0 0; padding: 0; list-style: none; }
#topics li { display: inline-flex; align-items: center; min-width: 0; border: 1px solid var(--line); border-radius: 6px;
  background: var(--soft); }
#topics button { min-height: 2rem; min-width: 2rem; padding: 0; border: 0; background: none; color: var(--dim); }
#topics button:hover { color: var(--red); }
#members { margin: 0.6rem 0 0; padding: 0; list-style: none; max-height: 12rem; overflow: auto; font-size: 0.9rem; }
body:has(#state:not([data-state="open"])) #members { opacity: 0.5; }
#members li { display: flex; gap: 0.5rem; overflow-wrap: anywhere; }
output { font: 0.82rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; color: var(--dim); }
output.ok { color: var(--green); } output.failed { color: var(--red); }

.scroll { overflow: auto; max-height: 60vh; min-height: 12rem; }
table { width: 100%; border-collapse: collapse; font-size: 0.9rem; }
th { position: sticky; top: 0; background: var(--bg); color: var(--dim); font-weight: 400; font-size: 0.8rem; text-align: left; }
th, td { padding: 0.35rem 0.75rem 0.35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: anywhere; }
td.time, td.position, #log time { font: 0.82rem/1.7 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; color: var(--dim); }
td.time, td.event, td.position { white-space: nowrap; }
td.topic { min-width: 8rem; }
td.data { white-space: pre-wrap; width: 100%; }
td i, td small { color: var(--dim); } td small { display: block; }
.badge { display: block; width: fit-content; margin-top: 0.1rem; padding: 0 0.45rem; border-radius: 99px; background: var(--violet); color: var(--bg);
  font: 600 0.72rem/1.6 system-ui, sans-serif; }
.scroll.log { max-height: 16rem; min-height: 5rem; }
#log { margin: 0; padding: 0; list-style: none; font-size: 0.88rem; }
#log li { display: flex; gap: 0.75rem; padding: 0.15rem 0; } #log b { min-width: 5.5em; font-weight: 600; }
#log span { color: var(--dim); overflow-wrap: anywhere; }
#log .open b, #log .restored b { color: var(--green); } #log .waiting b, #log .connecting b { color: var(--violet); }
#log .closed b, #log .cut b, #log .refused b { color: var(--red); }

@media (max-width: 56rem) { main { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 36rem) {
  body { padding: 1rem 0.75rem 3rem; }
  h1 { font-size: 1.5rem; }
  thead { display: none; }
  #publications tr { display: flex; flex-wrap: wrap; gap: 0 0.75rem; padding: 0.4rem 0; border-bottom: 1px solid var(--line); }
  #publications td { min-width: 0; padding: 0; border: 0; } #publications td.data { order: 1; flex-basis: 100%; }
  td.time .badge { display: inline-block; margin: 0 0 0 0.4rem; } td small { display: inline; margin-left: 0.4rem; }
  #log li { flex-wrap: wrap; gap: 0 0.6rem; }
}
`;
