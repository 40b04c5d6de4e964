export type CodeSample = { readonly lang: string; readonly label: string; readonly source: string };

/** Publishes an order, the same in each language, with its standard library. docs/http-api.md has them too. */
export const publishSamples: readonly CodeSample[] = [
  {
    lang: "Shell",
    label: "curl",
    source: `curl --fail-with-body http://localhost:4237/v1/publications \\
  -H 'Authorization: Bearer <key>' -H 'Content-Type: application/json' \\
  -d '{"target": {"topic": "orders.7"}, "event": "paid", "data": {"total": 9.50}}'`,
  },
  {
    lang: "JavaScript",
    label: "Node",
    source: `const response = await fetch("http://localhost:4237/v1/publications", {
  method: "POST",
  headers: { Authorization: "Bearer <key>", "Content-Type": "application/json" },
  body: JSON.stringify({ target: { topic: "orders.7" }, event: "paid", data: { total: 9.5 } }),
});
if (!response.ok) throw new Error(\`\${response.status} \${await response.text()}\`);
console.log(await response.json());`,
  },
  {
    lang: "PHP",
    label: "PHP",
    source: `<?php
$curl = curl_init("http://localhost:4237/v1/publications");
curl_setopt_array($curl, [
    CURLOPT_RETURNTRANSFER => true,
    CURLOPT_HTTPHEADER => ["Authorization: Bearer <key>", "Content-Type: application/json"],
    CURLOPT_POSTFIELDS => json_encode(["target" => ["topic" => "orders.7"], "event" => "paid", "data" => ["total" => 9.5]]),
]);
$answer = curl_exec($curl);
$status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
if ($status !== 200) throw new Exception("$status $answer");
echo $answer;`,
  },
  {
    lang: "Python",
    label: "Python",
    source: `import json
from urllib.request import Request, urlopen

publication = {"target": {"topic": "orders.7"}, "event": "paid", "data": {"total": 9.5}}
request = Request(
    "http://localhost:4237/v1/publications",
    data=json.dumps(publication).encode(),
    headers={"Authorization": "Bearer <key>", "Content-Type": "application/json"},
)
with urlopen(request) as response:  # raises HTTPError unless the status is 200
    print(json.load(response))`,
  },
  {
    lang: "Go",
    label: "Go",
    source: `package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
)

func main() {
	body := strings.NewReader(\`{"target": {"topic": "orders.7"}, "event": "paid", "data": {"total": 9.50}}\`)
	request, err := http.NewRequest("POST", "http://localhost:4237/v1/publications", body)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer <key>")
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		log.Fatal(response.Status, " ", string(answer))
	}
	fmt.Println(string(answer))
}`,
  },
];

/** Returns the samples as Markdown, because Swagger UI shows descriptions but not the field `x-codeSamples`. */
export function samplesAsMarkdown(samples: readonly CodeSample[]): string {
  return samples
    .map(({ label, lang, source }) => `**${label}**\n\n\`\`\`${fenceOf(lang)}\n${source}\n\`\`\``)
    .join("\n\n");
}

function fenceOf(lang: string): string {
  return lang === "Shell" ? "sh" : lang.toLowerCase();
}
