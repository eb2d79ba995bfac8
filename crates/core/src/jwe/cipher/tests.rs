//! Published vectors: RFC 7518 appendix B.3 for A256CBC-HS512, NIST's GCM test cases for A256GCM.

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

struct Vector {
    aad: Vec<u8>,
    iv: Vec<u8>,
    plaintext: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: Vec<u8>,
}

fn cbc_vector() -> (CbcHs512, Vector) {
    let key: Vec<u8> = (0..64).collect();
    let vector = Vector {
        aad: b"The second principle of Auguste Kerckhoffs".to_vec(),
        iv: hex("1af38c2dc2b96ffdd86694092341bc04"),
        plaintext: b"A cipher system must not be required to be secret, and it must be able to fall into the hands of \
                     the enemy without inconvenience"
            .to_vec(),
        ciphertext: hex("4affaaadb78c31c5da4b1b590d10ffbd3dd8d5d302423526912da037ecbcc7bd\
             822c301dd67c373bccb584ad3e9279c2e6d12a1374b77f077553df829410446b\
             36ebd97066296ae6427ea75c2e0846a11a09ccf5370dc80bfecbad28c73f09b3\
             a3b75e662a2594410ae496b2e2e6609e31e6e02cc837f053d21f37ff4f51950b\
             be2638d09dd7a4930930806d0703b1f6"),
        tag: hex("4dd3b4c088a7f45c216839645b2012bf2e6269a8c56a816dbc1b267761955bc5"),
    };
    (CbcHs512::new(key.as_slice().try_into().unwrap()), vector)
}

fn gcm_vector() -> (Gcm, Vector) {
    let key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    let vector = Vector {
        aad: hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
        iv: hex("cafebabefacedbaddecaf888"),
        plaintext: hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"),
        ciphertext: hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"),
        tag: hex("76fc6ece0f4e1768cddf8853bb2d551b"),
    };
    (Gcm::new(key.as_slice().try_into().unwrap()), vector)
}

#[test]
fn cbc_hs512_opens_the_vector_of_rfc_7518() {
    let (cipher, vector) = cbc_vector();
    let mut buffer = vector.ciphertext.clone();
    cipher.open(&vector.aad, &vector.iv, &mut buffer, &vector.tag).unwrap();
    assert_eq!(buffer, vector.plaintext);
}

#[test]
fn cbc_hs512_seals_the_vector_of_rfc_7518() {
    let (cipher, vector) = cbc_vector();
    let sealed = cipher.seal(&vector.aad, &vector.iv, &vector.plaintext).unwrap();
    assert_eq!(sealed, (vector.ciphertext, vector.tag));
}

#[test]
fn gcm_opens_the_vector_of_nist() {
    let (cipher, vector) = gcm_vector();
    let mut buffer = vector.ciphertext.clone();
    cipher.open(&vector.aad, &vector.iv, &mut buffer, &vector.tag).unwrap();
    assert_eq!(buffer, vector.plaintext);
}

#[test]
fn gcm_seals_the_vector_of_nist() {
    let (cipher, vector) = gcm_vector();
    let sealed = cipher.seal(&vector.aad, &vector.iv, &vector.plaintext).unwrap();
    assert_eq!(sealed, (vector.ciphertext, vector.tag));
}

/// Every single-bit change of every input, and every shorter tag.
fn refuses_all_changes(vector: &Vector, open: impl Fn(&[u8], &[u8], &mut Vec<u8>, &[u8]) -> Result<(), Forged>) {
    let parts = [&vector.aad, &vector.iv, &vector.ciphertext, &vector.tag];
    for (index, part) in parts.iter().enumerate() {
        for bit in 0..part.len() * 8 {
            let mut changed = parts.map(Clone::clone);
            changed[index][bit / 8] ^= 1 << (bit % 8);
            let [aad, iv, ciphertext, tag] = changed;
            let mut buffer = ciphertext.clone();
            assert_eq!(open(&aad, &iv, &mut buffer, &tag), Err(Forged), "part {index}, bit {bit}");
            assert_eq!(buffer, ciphertext, "nothing is decrypted before the tag is verified");
        }
    }
    for len in 0..vector.tag.len() {
        let mut buffer = vector.ciphertext.clone();
        assert_eq!(open(&vector.aad, &vector.iv, &mut buffer, &vector.tag[..len]), Err(Forged), "{len} bytes of tag");
    }
}

#[test]
fn cbc_hs512_refuses_every_changed_bit_and_shortened_tag() {
    let (cipher, vector) = cbc_vector();
    refuses_all_changes(&vector, |aad, iv, buffer, tag| cipher.open(aad, iv, buffer, tag));
}

#[test]
fn gcm_refuses_every_changed_bit_and_shortened_tag() {
    let (cipher, vector) = gcm_vector();
    refuses_all_changes(&vector, |aad, iv, buffer, tag| cipher.open(aad, iv, buffer, tag));
}

#[test]
fn hkdf_gives_what_rfc_5869_says_for_an_empty_salt() {
    let key = derive_key::<42>(&[0x0b; 22], "", "");
    let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
    assert_eq!(key.as_slice(), hex(expected));
}
