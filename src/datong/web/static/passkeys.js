// One ceremony of Web Authentication: what the hub asks for lies in the page, the browser's answer goes back in a form.
(() => {
  const asked = document.getElementById("passkey-asked");
  const form = document.getElementById("passkey-form");
  if (!asked || !form) return;
  const button = form.querySelector("button[type=submit]");
  const said = document.getElementById("passkey-said");

  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (keys) => keys.map((key) => ({ ...key, id: bytes(key.id) }));

  const make = async (options) => {
    const made = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: named(options.excludeCredentials),
      },
    });
    return {
      id: made.id, rawId: text(made.rawId), type: made.type,
      response: {
        clientDataJSON: text(made.response.clientDataJSON),
        attestationObject: text(made.response.attestationObject),
        transports: made.response.getTransports ? made.response.getTransports() : [],
      },
    };
  };

  const prove = async (options) => {
    const proof = await navigator.credentials.get({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        allowCredentials: named(options.allowCredentials),
      },
    });
    return {
      id: proof.id, rawId: text(proof.rawId), type: proof.type,
      response: {
        clientDataJSON: text(proof.response.clientDataJSON),
        authenticatorData: text(proof.response.authenticatorData),
        signature: text(proof.response.signature),
        userHandle: proof.response.userHandle ? text(proof.response.userHandle) : null,
      },
    };
  };

  const tell = (name) => {
    said.textContent = said.dataset[name];
    said.hidden = false;
    button.disabled = false;
  };

  if (!window.PublicKeyCredential) {
    tell("unknown");
    button.disabled = true;
    return;
  }
  form.addEventListener("submit", async (event) => {
    if (form.elements.credential.value) return;
    event.preventDefault();
    if (!form.reportValidity()) return;
    button.disabled = true;
    said.hidden = true;
    const options = JSON.parse(asked.textContent);
    try {
      const answer = await (asked.dataset.act === "make" ? make(options) : prove(options));
      form.elements.credential.value = JSON.stringify(answer);
    } catch (error) {
      // The browser tells why nobody answered; a key that is known already is the one case people can mend.
      tell(error.name === "InvalidStateError" ? "known" : "cancelled");
      return;
    }
    button.disabled = false;
    form.requestSubmit();
  });
})();
