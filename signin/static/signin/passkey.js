// django-allauth's script asks the browser for passkeys; what goes wrong there is told to the person here.
(() => {
  const WORDS = {
    NotAllowedError: "No passkey was given: the browser was told no, or waited too long. Try again.",
    InvalidStateError: "This passkey is added already.",
    NotSupportedError: "This device cannot hold such a passkey.",
    SecurityError: "Passkeys need https and the address by which the program is known, not a number.",
  };
  document.addEventListener("allauth.error", (event) => {
    event.preventDefault();
    const place = document.getElementById("passkey-problem");
    const { exception } = event.detail;
    if (place) place.textContent = WORDS[exception?.name] ?? "The passkey could not be used. Try again, or log in another way.";
  });
})();
