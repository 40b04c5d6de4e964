/** Inlined into the page, which fetches nothing: it works on a machine without the internet. */
export const docsStyle = `
:root { color-scheme: light dark; --bg: #fff; --soft: #f4f5f7; --line: #dcdfe4; --text: #1c2024; --dim: #60646c;
  --get: #0b68cb; --post: #14804a; --delete: #c62a2f; --head: #7c5ac2; --link: #0b68cb; }
@media (prefers-color-scheme: dark) { :root { --bg: #111315; --soft: #1a1d20; --line: #2f3439; --text: #e6e8ea; --dim: #9ba1a6;
  --get: #6cb6ff; --post: #57c98a; --delete: #ff8b8f; --head: #b8a0f0; --link: #6cb6ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 5rem; max-width: 58rem; background: var(--bg); color: var(--text);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.9rem; letter-spacing: -0.02em; }
h1 small { color: var(--dim); font-size: 1rem; font-weight: 400; letter-spacing: 0; }
h2 { margin: 3rem 0 0.75rem; font-size: 1.3rem; }
h3 { margin: 1.25rem 0 0.4rem; font-size: 0.8rem; text-transform: uppercase; letter-spacing: 0.06em; color: var(--dim); }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
p { margin: 0.5rem 0; }
code, pre { font: 0.86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
code { background: var(--soft); border-radius: 4px; padding: 0.1em 0.3em; overflow-wrap: anywhere; }
pre { margin: 0.4rem 0; padding: 0.75rem 1rem; background: var(--soft); border: 1px solid var(--line); border-radius: 8px;
  overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
pre code { background: none; padding: 0; }
nav { margin: 1.5rem 0; padding: 0.75rem 1rem; border: 1px solid var(--line); border-radius: 8px; }
nav a { display: flex; gap: 0.75rem; padding: 0.15rem 0; color: inherit; } nav span { color: var(--dim); }
section { margin-top: 1.5rem; padding: 1rem 1.25rem 1.25rem; border: 1px solid var(--line); border-radius: 10px; }
section > h2 { margin: 0; font-size: 1.05rem; overflow-wrap: anywhere; }
section > h2 code { background: none; }
.methods { min-width: 9em; } h2 .methods { margin-right: 0.5em; }
.methods b { font: 700 0.8em ui-monospace, monospace; color: var(--dim); }
b.get { color: var(--get); } b.post { color: var(--post); } b.delete { color: var(--delete); } b.head { color: var(--head); }
dl { margin: 0; } dt { margin-top: 0.6rem; } dt i { color: var(--dim); font-style: normal; font-size: 0.85em; }
dd { margin: 0.1rem 0 0 1rem; color: var(--dim); } dd dl { border-left: 2px solid var(--line); padding-left: 0.75rem; }
footer { margin-top: 3rem; color: var(--dim); }
`;
