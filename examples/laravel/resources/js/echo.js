import Echo from "laravel-echo";
import Pusher from "pusher-js";

const isSecure = (import.meta.env.VITE_PUSHER_SCHEME ?? "https") === "https";

window.Pusher = Pusher;
window.Echo = new Echo({
  broadcaster: "pusher",
  key: import.meta.env.VITE_PUSHER_APP_KEY,
  // pusher-js requires a value, which has no effect here.
  cluster: "fanwire",
  wsHost: import.meta.env.VITE_PUSHER_HOST,
  wsPort: import.meta.env.VITE_PUSHER_PORT ?? 80,
  wssPort: import.meta.env.VITE_PUSHER_PORT ?? 443,
  forceTLS: isSecure,
  // Fanwire has no HTTP fallbacks.
  enabledTransports: ["ws", "wss"],
});
