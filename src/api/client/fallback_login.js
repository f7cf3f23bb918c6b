
"use strict";
// A client puts its own function in the place of onLogin, before or after this page is loaded.
window.matrixLogin = window.matrixLogin || {};
if (!window.matrixLogin.onLogin) {
    window.matrixLogin.onLogin = () => {};
}
const form = document.getElementById("form");
const text = document.getElementById("text");
const say = (words, wrong) => {
    text.textContent = words;
    text.className = wrong ? "wrong" : "";
};
// What the client wants of the session; what proves who logs in has no place in an address.
const wanted = () => {
    const query = new URLSearchParams(window.location.search);
    const request = {};
    for (const key of ["device_id", "initial_device_display_name"]) {
        if (query.has(key)) {
            request[key] = query.get(key);
        }
    }
    if (query.has("refresh_token")) {
        request.refresh_token = query.get("refresh_token") === "true";
    }
    return request;
};
const ask = async (request) => {
    const answer = await fetch("/_matrix/client/v3/login", request);
    const body = await answer.json();
    if (!answer.ok) {
        throw new Error(body.error || "The server refused.");
    }
    return body;
};
const begin = async () => {
    const { flows } = await ask();
    if (!flows.some((flow) => flow.type === "m.login.password")) {
        say("There is no log-in by password on this server.", true);
        return;
    }
    say("Please enter your user name and password.");
    form.hidden = false;
};
form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const request = {
        ...wanted(),
        type: "m.login.password",
        identifier: { type: "m.id.user", user: form.elements.user.value },
        password: form.elements.password.value,
    };
    try {
        const response = await ask({ method: "POST", body: JSON.stringify(request) });
        form.hidden = true;
        say("You are logged in. You can go back to your application.");
        window.matrixLogin.onLogin(response);
    } catch (error) {
        say(error.message, true);
    }
});
begin().catch((error) => say(error.message, true));
