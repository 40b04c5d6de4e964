const TOPICS_AT_ONCE = 100;

/** Names that are used for a while and never again. A service that keeps state for each of them grows. */
export class Names {
  #users = 0;
  #oldestTopic = 0;

  newUser(): string {
    return `user-${++this.#users}`;
  }

  topic(): string {
    if (Math.random() < 0.1) this.#oldestTopic++;
    return `soak.${this.#oldestTopic + Math.floor(Math.random() * TOPICS_AT_ONCE)}.a`;
  }

  pattern(): string {
    return this.topic().replace(/a$/, "*");
  }
}
