/** Styles what the page adds to Swagger UI, and corrects Swagger UI's own style. */
export const docsStyle = `body { margin: 0; }
body > nav { box-sizing: border-box; max-width: 1460px; margin: 0 auto; padding: 1rem 20px 0; font: 0.9rem system-ui, sans-serif; }
body > nav a { color: #0b68cb; }
html.dark-mode body > nav a { color: #6cb6ff; }
noscript { display: block; padding: 20px; font: 1rem system-ui, sans-serif; }

/* The list before Swagger UI has started. */
#overview .info .title small { color: #000; font-weight: 400; }
html.dark-mode #overview .info .title small { color: #fff; }
/* As high as Swagger UI's field for the server, so that the list stays in its place. */
#overview .schemes p { min-height: 46px; margin: 0; font: 14px/1.4 sans-serif; color: #3b4151; }
html.dark-mode #overview .schemes p { color: #e4e6e6; }
#overview .opblock-tag { cursor: default; }
#overview .opblock-summary-control { display: flex; align-items: center; color: inherit; text-decoration: none; }
#overview .opblock-summary { padding: 5px; }
#overview .opblock-summary-path { max-width: none; }

/* No operation has links, and their column makes the table wider than a phone. */
.swagger-ui .response-col_links { display: none; }
/* Swagger UI's own colours for these are hard to read. */
html:not(.dark-mode) .swagger-ui .opblock .opblock-summary-method,
html:not(.dark-mode) .swagger-ui .info .title small pre.version { color: #000; text-shadow: none; }
html:not(.dark-mode) .swagger-ui .opblock.opblock-head .opblock-summary-method { color: #fff; }
.swagger-ui .opblock-summary-path a { display: inline-block; min-height: 24px; padding: 3px 0; }
html:not(.dark-mode) .swagger-ui .btn.execute { background-color: #2468b8; border-color: #2468b8; }
html:not(.dark-mode) .swagger-ui .info .link .url { color: #0b68cb; }
html:not(.dark-mode) .swagger-ui .json-schema-2020-12-expand-deep-button { color: #505050; }
html.dark-mode .swagger-ui :is(.headers .header-col, .examples-select__section-label) { color: #e4e6e6; }
`;
