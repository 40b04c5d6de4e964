import { Subjects } from "@fanwire/protocol";
import { fanwireDoor, rawDoor, startPusher } from "../servers/pusher.ts";
import type { Server } from "../servers/server.ts";
