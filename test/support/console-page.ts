import type { Locator, Page } from "playwright-core";

/** Opens a place of the console, such as `topics/news`, with the address of a pusher. */
export async function openConsole(
  page: Page,
  { url, pusher, place }: { readonly url: string; readonly pusher: string; readonly place: string },
): Promise<void> {
  await page.goto(`${url}/console?pusher=${encodeURIComponent(pusher)}#${place}`);
}

export function panelIn(page: Page, title: string): Locator {
  return page.locator(".panel").filter({ has: page.getByRole("heading", { name: title }) });
}

export function fieldIn(page: Page | Locator, label: string): Locator {
  return page.getByLabel(label, { exact: true });
}

/** Returns the texts of the cells of a table's rows. */
export function rowsOf(page: Page, caption: string): Promise<string[][]> {
  return page.evaluate<string[][]>(`(() => {
    const table = [...document.querySelectorAll("table")].find(({ caption }) => caption.textContent === ${JSON.stringify(caption)});
    return [...(table?.tBodies[0].rows ?? [])].map((row) => [...row.cells].map((cell) => cell.textContent));
  })()`);
}

/** Publishes by the form of the Try tab, and waits for the answer. */
export async function publishIn(
  page: Page,
  publication: { to?: string; name?: string; data: string; event?: string; isRefused?: boolean },
): Promise<void> {
  const { to, name, data, event = "", isRefused = false } = publication;
  const panel = panelIn(page, "Publish").filter({ has: page.getByLabel("Name or address") });
  if (to !== undefined) await panel.getByRole("combobox", { name: "To" }).selectOption(to);
  if (name !== undefined) await panel.getByLabel("Name or address").fill(name);
  await fieldIn(panel, "Event").fill(event);
  await fieldIn(panel, "Data").fill(data);
  const answer = page.waitForResponse((response) => response.url().endsWith("/v1/publications"));
  await panel.getByRole("button", { name: "Publish", exact: true }).click();
  await answer;
  await panel.locator(`output[data-outcome=${isRefused ? "failed" : "ok"}]`).waitFor();
}
