use serde_json::Value;

use super::*;
use crate::compact::{CompactJws, decode};

fn bytes(vector: &Value, member: &str) -> Vec<u8> {
    decode(vector[member].as_str().unwrap()).unwrap()
}

/// Verifies a message and signature as the key of the vector would.
fn verifies(vector: &Value, message: &[u8], signature: &[u8]) -> bool {
    if vector["alg"] == "HS256" {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes(vector, "k"));
        let key = KindKey {
            signer: TokenSigner::Hs256(Box::new(key.clone())),
            claim: key,
        };
        return key.verify(message, signature);
    }
    let public = bytes(vector, "RSAPublicKey");
    let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).unwrap();
    verify_rs256(&public, message, signature)
}

#[test]
fn the_vectors_of_rfc_7515_verify_and_their_forgeries_do_not() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../vectors/rfc7515.json")).unwrap();
    assert_eq!(vectors.len(), 2);
    for vector in &vectors {
        let compact = CompactJws::split(vector["token"].as_str().unwrap()).unwrap();
        let (message, signature) = (
            compact.signed.as_bytes(),
            decode(compact.signature).unwrap(),
        );
        assert!(verifies(vector, message, &signature), "{}", vector["name"]);

        let mut other = message.to_vec();
        other[30] ^= 1;
        assert!(!verifies(vector, &other, &signature));
        for cut in [0, 1, signature.len() - 1] {
            assert!(!verifies(vector, message, &signature[..cut]));
        }
        let mut wrong = signature.clone();
        wrong[0] ^= 1;
        assert!(!verifies(vector, message, &wrong));
    }
}

#[test]
fn a_signature_is_the_same_each_time() {
    for algorithm in Algorithm::ALL {
        let key = SigningKey::new(algorithm, &KeyMaterial::generate(algorithm).unwrap()).unwrap();
        let access = key.for_kind(TokenKind::Access);
        let signature = access.sign(b"message").unwrap();
        assert_eq!(access.sign(b"message").unwrap(), signature, "{algorithm}");
        assert!(access.verify(b"message", &signature));
        assert!(!access.verify(b"massage", &signature));
    }
}

#[test]
fn each_kind_has_keys_of_its_own() {
    let material = KeyMaterial::generate(Algorithm::Hs256).unwrap();
    let key = SigningKey::new(Algorithm::Hs256, &material).unwrap();
    let signature = key.for_kind(TokenKind::Access).sign(b"message").unwrap();
    assert!(
        !key.for_kind(TokenKind::Refresh)
            .verify(b"message", &signature)
    );
    let sealed = |kind| {
        hmac::sign(&key.for_kind(kind).claim, b"claim")
            .as_ref()
            .to_vec()
    };
    assert_ne!(sealed(TokenKind::Access), sealed(TokenKind::Refresh));
}

#[test]
fn material_that_was_cut_off_or_is_of_another_algorithm_is_refused() {
    let hs256 = KeyMaterial::generate(Algorithm::Hs256).unwrap();
    let rs256 = KeyMaterial::generate(Algorithm::Rs256).unwrap();
    let cut = |material: &KeyMaterial, to: usize| {
        KeyMaterial::new(Zeroizing::new(material.bytes()[..to].to_vec()))
    };
    let cases = [
        (Algorithm::Hs256, cut(&hs256, 31)),
        (Algorithm::Hs256, cut(&hs256, 0)),
        (Algorithm::Hs256, rs256.clone()),
        (Algorithm::Rs256, hs256),
        (Algorithm::Rs256, cut(&rs256, rs256.bytes().len() - 1)),
    ];
    for (algorithm, material) in cases {
        let read = SigningKey::new(algorithm, &material).map(|_| ());
        assert_eq!(read, Err(MaterialFault::Unreadable(algorithm)));
    }
}

#[test]
fn material_does_not_print() {
    let material = KeyMaterial::new(Zeroizing::new(vec![0x41; 32]));
    assert_eq!(format!("{material:?}"), "KeyMaterial(..)");
}
