// Two people chat through matrix-js-sdk: log in, make a room, invite, join, talk both ways, log out.
//
//     node js_chat.mjs BASE_URL USER PASSWORD OTHER_USER OTHER_PASSWORD
//
// Exits with 0 only when every message arrived exactly once and in order on the other side.
import { webcrypto } from "node:crypto";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const TIMEOUT_MS = 60_000;
const MESSAGES = 5;

// Node 18, which Debian 12 has, does not show it to everybody.
globalThis.crypto ??= webcrypto;

// The library stands in the working directory's node_modules, wherever this file is.
const require = createRequire(pathToFileURL(`${process.cwd()}/`));
const sdk = await import(pathToFileURL(require.resolve("matrix-js-sdk")).href);

const [baseUrl, user, password, other, otherPassword] = process.argv.slice(2);
if (!otherPassword) {
    console.error("usage: js_chat.mjs BASE_URL USER PASSWORD OTHER_USER OTHER_PASSWORD");
    process.exit(2);
}
setTimeout(() => fail("timed out"), TIMEOUT_MS).unref();

function fail(reason) {
    console.error(reason);
    process.exit(1);
}

async function logIn(name, secret) {
    const login = await sdk.createClient({ baseUrl }).loginRequest({
        type: "m.login.password",
        identifier: { type: "m.id.user", user: name },
        password: secret,
        initial_device_display_name: "matrix-js-sdk",
    });
    const client = sdk.createClient({
        baseUrl,
        accessToken: login.access_token,
        userId: login.user_id,
        deviceId: login.device_id,
    });
    const seen = [];
    client.on("Room.timeline", (event) => {
        const theirs = event.getSender() !== login.user_id;
        if (event.getType() === "m.room.message" && theirs && event.getRoomId() === roomId) {
            seen.push(event.getContent().body);
        }
    });
    await client.startClient({ initialSyncLimit: 20, lazyLoadMembers: true });
    await until(client, () => client.isInitialSyncComplete());
    return { client, seen };
}

// Waits until the condition holds, looking again whenever the client emits a change.
function until(client, holds) {
    return new Promise((resolve) => {
        const look = () => {
            if (holds()) {
                clearInterval(timer);
                resolve();
            }
        };
        const timer = setInterval(look, 20);
        look();
    });
}

let roomId;
const alice = await logIn(user, password);
const bob = await logIn(other, otherPassword);
const created = await alice.client.createRoom({
    name: "JavaScript",
    preset: "private_chat",
    invite: [bob.client.getUserId()],
});
roomId = created.room_id;
await until(bob.client, () => bob.client.getRoom(roomId)?.getMyMembership() === "invite");
await bob.client.joinRoom(roomId);
await until(bob.client, () => bob.client.getRoom(roomId)?.getMyMembership() === "join");
await until(alice.client, () =>
    alice.client.getRoom(roomId)?.getMember(bob.client.getUserId())?.membership === "join");
if (bob.client.getRoom(roomId).name !== "JavaScript") {
    fail(`the room's name is ${bob.client.getRoom(roomId).name}`);
}
const hers = [];
const his = [];
for (let n = 0; n < MESSAGES; n++) {
    hers.push(`from alice ${n}`);
    his.push(`from bob ${n}`);
    await alice.client.sendTextMessage(roomId, hers[n]);
    await bob.client.sendTextMessage(roomId, his[n]);
}
await until(alice.client, () => alice.seen.length >= MESSAGES);
await until(bob.client, () => bob.seen.length >= MESSAGES);
if (JSON.stringify([alice.seen, bob.seen]) !== JSON.stringify([his, hers])) {
    fail(`alice saw ${JSON.stringify(alice.seen)}, bob saw ${JSON.stringify(bob.seen)}`);
}
for (const { client } of [alice, bob]) {
    client.stopClient();
    await client.logout();
    const answer = await fetch(`${baseUrl}/_matrix/client/v3/account/whoami`, {
        headers: { Authorization: `Bearer ${client.getAccessToken()}` },
    });
    if (answer.status !== 401) {
        fail(`the token still works after the logout: ${answer.status}`);
    }
}
console.log("chat through matrix-js-sdk: passed");
process.exit(0);
