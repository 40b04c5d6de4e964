/** What our pages share. Inlined into each, which fetches no style or font: they work on a machine without the internet. */
export const pageStyle = `
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
`;
