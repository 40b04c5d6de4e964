import { pageStyle } from "./page-style.ts";

export const docsStyle = `${pageStyle}
body { max-width: 58rem; }
h2 { margin: 3rem 0 0.75rem; font-size: 1.3rem; }
h3 { margin: 1.25rem 0 0.4rem; font-size: 0.8rem; text-transform: uppercase; letter-spacing: 0.06em; color: var(--dim); }
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
b.get { color: var(--blue); } b.post, b.put { color: var(--green); } b.delete { color: var(--red); } b.head { color: var(--violet); }
dl { margin: 0; } dt { margin-top: 0.6rem; } dt i { color: var(--dim); font-style: normal; font-size: 0.85em; }
dd { margin: 0.1rem 0 0 1rem; color: var(--dim); } dd dl { border-left: 2px solid var(--line); padding-left: 0.75rem; }
footer { margin-top: 3rem; color: var(--dim); }
`;
