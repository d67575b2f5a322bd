//! What two sides that share a secret prove to each other without saying it: HMAC-SHA256 (RFC 2104) over ASCII text,
//! keys by HKDF-SHA256 (RFC 5869), bytes as base64url without padding (RFC 4648). WebCrypto and Python's standard
//! library have all of it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::error::{Answer, Code, Refusal};

/// A secret, or a proof of it.
pub(super) type Key = [u8; 32];

/// 32 random bytes from the operating system.
pub(super) fn random() -> Answer<Key> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::internal())?;
    Ok(bytes)
}

/// As base64url.
pub(super) fn encode(key: &Key) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// From base64url.
pub(super) fn decode(text: &str) -> Option<Key> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Refuses what is no 32 bytes in base64url: such a number, used once, makes each proof another one.
pub(super) fn check_nonce(nonce: &str) -> Answer<()> {
    decode(nonce).map(drop).ok_or_else(|| {
        Refusal::new(Code::BadRequest, "`nonce` is not 32 bytes in base64url", "take 32 new random bytes")
    })
}

/// The proof that one knows `key`, for `text`.
pub(super) fn prove(key: &[u8], text: &str) -> Answer<String> {
    let proof: Key = mac(key, text)?.finalize().into_bytes().into();
    Ok(encode(&proof))
}

/// Whether `proof` is that of `key` for `text`, in a time that tells nothing about how nearly.
pub(super) fn is_proven(key: &[u8], text: &str, proof: &str) -> Answer<bool> {
    let Some(proof) = decode(proof) else { return Ok(false) };
    Ok(mac(key, text)?.verify_slice(&proof).is_ok())
}

fn mac(key: &[u8], text: &str) -> Answer<Hmac<Sha256>> {
    Ok(Hmac::<Sha256>::new_from_slice(key).map_err(|_| Refusal::internal())?.chain_update(text))
}

/// The key of a pairing: of the code that a person carries from one side to the other, and of all that both have said.
pub(super) fn pairing_key(code: &str, nonce: &str, server_nonce: &str, place: &str) -> Answer<Key> {
    let mut key = Key::default();
    let salt = format!("{nonce}|{server_nonce}");
    let expanded =
        Hkdf::<Sha256>::new(Some(salt.as_bytes()), code.as_bytes()).expand(place.as_bytes(), &mut key);
    expanded.map_err(|_| Refusal::internal())?;
    Ok(key)
}

/// The key that both sides keep after a pairing.
pub(super) fn long_term_key(pairing: &Key) -> Answer<Key> {
    let mut key = Key::default();
    let expander = Hkdf::<Sha256>::from_prk(pairing).map_err(|_| Refusal::internal())?;
    expander.expand(b"long-term", &mut key).map_err(|_| Refusal::internal())?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_are_those_of_pythons_standard_library() {
        // hmac.new(key, text, "sha256"), as tests/reference/server/page.py does it.
        let key = pairing_key("K7QFM2XD9TRW", "n", "s", "https://viewer.example|38917|abc").unwrap();
        assert_eq!(encode(&key), "PDmk1xVPQTZz4_zH-9FFB3KfbSZbXtWldftPdUgnc6s");
        assert_eq!(prove(&key, "pair-c").unwrap(), "-Jj1hmtH1blnZAsELPi7HKHZBjFcCQqtIbv0WHV6jk0");
        assert_eq!(encode(&long_term_key(&key).unwrap()), "TIxV-lmqDjfz0_W0tIuOwt9v21SklCSBjAZGAN-WLaA");
        assert!(is_proven(&key, "pair-c", "-Jj1hmtH1blnZAsELPi7HKHZBjFcCQqtIbv0WHV6jk0").unwrap());
        for proof in [
            "",
            "TIxV-lmqDjfz0_W0tIuOwt9v21SklCSBjAZGAN-WLaA",
            "-Jj1hmtH1blnZAsELPi7HKHZBjFcCQqtIbv0WHV6jk0=",
            "no base64!",
        ] {
            assert!(!is_proven(&key, "pair-c", proof).unwrap(), "{proof}");
        }
    }
}
