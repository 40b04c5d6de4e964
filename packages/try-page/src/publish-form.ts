import { element, field } from "./elements.ts";

const form = element("publish-form", HTMLFormElement);
const kind = element("target-kind", HTMLSelectElement);
const name = field("target-name");
const event = field("event");
const data = element("data", HTMLTextAreaElement);
const durable = field("durable");
const answer = element("answer", HTMLOutputElement);

/** Publishes over HTTP, as a backend does. `ownAddress` is the default address for the target connection. */
export function startPublishForm(ownAddress: () => string | undefined): void {
  kind.addEventListener("change", () => {
    name.disabled = kind.value === "everyone";
    // A target connection receives only live publications.
    durable.disabled = kind.value === "connection";
    name.value = { topic: "news", connection: ownAddress() }[kind.value] ?? "";
  });
  form.addEventListener("submit", (submission) => {
    submission.preventDefault();
    publish().then(showAnswer, (error: unknown) => showAnswer({ isOk: false, text: String(error) }));
  });
}

type Answer = { readonly isOk: boolean; readonly text: string };

async function publish(): Promise<Answer> {
  const response = await fetch("v1/publications", {
    method: "POST",
    headers: { "Content-Type": "application/json", ...authorization() },
    body: JSON.stringify({
      target: { [kind.value]: kind.value === "everyone" ? true : name.value },
      event: event.value || undefined,
      data: data.value,
      durable: (durable.checked && !durable.disabled) || undefined,
    }),
  });
  return { isOk: response.ok, text: `${response.status} ${await response.text()}` };
}

/** The page has a field for the key only if the publisher requires keys. */
function authorization(): Record<string, string> {
  const key = document.getElementById("api-key");
  return key instanceof HTMLInputElement && key.value !== "" ? { Authorization: `Bearer ${key.value}` } : {};
}

function showAnswer({ isOk, text }: Answer): void {
  answer.textContent = text;
  answer.className = isOk ? "ok" : "failed";
}
