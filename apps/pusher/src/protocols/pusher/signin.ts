import { MAX_NAME_BYTES } from "@fanwire/protocol";
import { signinSignature, userOf, verifySignedAuth } from "@fanwire/pusher-protocol";
import { anonymousGrant } from "@fanwire/tokens";
import { pusherErrors } from "../../wire/pusher-close-codes.ts";
import { commandData, parseObject, pusherError, signinSuccess } from "../../wire/pusher-frames.ts";
import type { ServingParts } from "../served-protocol.ts";
import type { Audience } from "./audience.ts";
import type { PusherSession } from "./session.ts";

/** The grant of all Pusher clients. The signatures of their application decide what they subscribe to. */
export const PUSHER_GRANT = anonymousGrant([]);

/** Maximum characters. */
export const MAX_USER_ID = 128;

type UserData = { readonly id: string; readonly user: string; readonly info: unknown; readonly watchlist: unknown };

/** Binds connections to users, as their application has signed them. */
export class Signins {
  readonly #parts: ServingParts;
  readonly #audience: Audience;

  constructor(parts: ServingParts, audience: Audience) {
    this.#parts = parts;
    this.#audience = audience;
  }

  receive(session: PusherSession, data: unknown): void {
    const { auth, user_data: text } = commandData(data) ?? {};
    if (typeof auth !== "string" || typeof text !== "string") {
      session.send(pusherError(null, "pusher:signin needs auth and user_data"));
      return;
    }
    const { app, socketId } = session;
    if (!verifySignedAuth(auth, app.keys, (secret) => signinSignature(secret, socketId, text))) {
      const message = "the signature of user_data is not valid for this connection";
      session.send(pusherError(pusherErrors.unauthorized, message));
      return;
    }
    const userData = userDataFrom(session, text);
    if (userData === undefined) {
      const limits = `1 to ${MAX_USER_ID} characters and, with the namespace of the app, at most ${MAX_NAME_BYTES} bytes`;
      session.send(pusherError(null, `user_data must be a JSON object with an id of ${limits}`));
      return;
    }
    if (session.user !== undefined && session.user.id !== userData.id) {
      session.send(pusherError(pusherErrors.unauthorized, "the connection is signed in as another user"));
      return;
    }
    this.#signIn(session, userData, text);
  }

  #signIn(session: PusherSession, { id, user, info, watchlist }: UserData, text: string): void {
    const { hub, recovery } = this.#parts;
    session.user = { id, info };
    session.isAuthorized = true;
    const succeed = () => {
      if (session.isClosed) return;
      session.send(signinSuccess(text));
      this.#audience.signedIn(session, watchlist);
    };
    const subscription = hub.bindUser(session.socket, user);
    if (subscription === undefined) {
      succeed();
      return;
    }
    recovery.start({
      connection: session.socket,
      subscriptions: [subscription],
      since: undefined,
      kind: "subscription",
      onOutcome: succeed,
    });
  }
}

function userDataFrom({ app }: PusherSession, text: string): UserData | undefined {
  const data = parseObject(text);
  const id = data?.id;
  if (typeof id !== "string" || id.length > MAX_USER_ID) return undefined;
  const user = userOf(app, id);
  return user === undefined ? undefined : { id, user, info: data?.user_info, watchlist: data?.watchlist };
}
