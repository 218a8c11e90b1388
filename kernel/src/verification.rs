//! Checks of Ed25519 signatures whose signers are known in advance, with tables of multiples of their keys (ADR 38).
//!
//! A signature `(R, s)` of bytes `M` by key `A` holds if, as ZIP 215 (<https://zips.z.cash/zip-0215>) says, `A` and `R` are points
//! on the curve, in any encoding, `s` is below the order of the group, and `[8]([s]B - [k]A - R) = 0`, where `k` is
//! SHA-512 of `R` and `A` as they are written and `M`, reduced modulo the order. A sum of many such equations with random
//! factors holds if each one does, and else with a chance of 2^-128: due to the factor 8, both ways agree on all points.

use crate::keys::{BadKey, Claim, PublicKey};
use curve25519_dalek::EdwardsPoint;
use curve25519_dalek::constants::ED25519_BASEPOINT_TABLE;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsBasepointTable};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{BasepointTable, IsIdentity};
use sha2::{Digest as _, Sha512};
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Keys that get tables at most: the first ones, those of replicas before those of clients. Tables take 40 kB a key,
/// and save nothing where they do not stay in the processor's cache.
const MAX_TABLES: usize = 32;
/// A table takes as long to make as it saves in about so many checks, and is made when there were so many.
const CHECKS_BEFORE_TABLE: u32 = 100;

/// The keys of all participants, by id.
pub(crate) struct KnownKeys {
    keys: Vec<KnownKey>,
    #[cfg(not(target_family = "wasm"))]
    together: many::Tables,
}

struct KnownKey {
    bytes: [u8; 32],
    /// The point, negative.
    minus: EdwardsPoint,
    /// Multiples of it.
    multiples: Table<Box<EdwardsBasepointTable>>,
}

/// A table that is made when it has been asked for often enough.
struct Table<T> {
    asked: AtomicU32,
    made: OnceLock<T>,
}

impl<T> Table<T> {
    fn new() -> Table<T> {
        Table { asked: AtomicU32::new(0), made: OnceLock::new() }
    }

    /// None as long as it is not worth making.
    fn get(&self, make: impl FnOnce() -> T) -> Option<&T> {
        if let Some(made) = self.made.get() {
            return Some(made);
        }
        let is_worth_it = self.asked.fetch_add(1, Ordering::Relaxed) >= CHECKS_BEFORE_TABLE;
        is_worth_it.then(|| self.made.get_or_init(make))
    }
}

/// What is to be checked of a signature: whether `[8]([s]B - [k]A - R) = 0`.
struct Equation<'a> {
    author: usize,
    key: &'a KnownKey,
    r: EdwardsPoint,
    s: Scalar,
    k: Scalar,
}

impl KnownKeys {
    /// All of these keys, unless one of them is not a point on the curve.
    pub(crate) fn new(keys: &[PublicKey]) -> Result<KnownKeys, BadKey> {
        let known = |(index, key): (usize, &PublicKey)| {
            let point = CompressedEdwardsY(key.0).decompress().ok_or(BadKey { index, key: *key })?;
            Ok(KnownKey { bytes: key.0, minus: -point, multiples: Table::new() })
        };
        Ok(KnownKeys {
            keys: keys.iter().enumerate().map(known).collect::<Result<_, BadKey>>()?,
            #[cfg(not(target_family = "wasm"))]
            together: many::Tables::new(),
        })
    }

    /// The `index`th key as it is written.
    pub(crate) fn bytes(&self, index: usize) -> Option<[u8; 32]> {
        self.keys.get(index).map(|key| key.bytes)
    }

    /// Whether one claim holds.
    pub(crate) fn verify(&self, claim: &Claim) -> bool {
        self.equation(claim).is_some_and(|equation| equation.holds())
    }

    /// Whether all claims hold. A check of many together needs random factors, and WebAssembly has none: one by one
    /// gives the same answer and takes longer.
    #[cfg(target_family = "wasm")]
    pub(crate) fn verify_all<'a>(&self, mut claims: impl Iterator<Item = &'a Claim>) -> bool {
        claims.all(|claim| self.verify(claim))
    }

    /// None if there is no such key, `R` is no point, or `s` is too large.
    fn equation(&self, claim: &Claim) -> Option<Equation<'_>> {
        let author = usize::from(claim.author.0);
        let key = self.keys.get(author)?;
        let (r_bytes, s_bytes) = claim.signature.0.split_first_chunk::<32>()?;
        let s: Option<Scalar> = Scalar::from_canonical_bytes(s_bytes.try_into().ok()?).into();
        let hash = Sha512::new().chain_update(r_bytes).chain_update(key.bytes).chain_update(&claim.bytes);
        let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        Some(Equation { author, key, r: CompressedEdwardsY(*r_bytes).decompress()?, s: s?, k })
    }
}

impl Equation<'_> {
    fn holds(&self) -> bool {
        let Equation { author, key, r, s, k } = self;
        let make = || Box::new(EdwardsBasepointTable::create(&key.minus));
        let multiples = if *author < MAX_TABLES { key.multiples.get(make) } else { None };
        let expected = match multiples {
            Some(multiples) => &**multiples * k + ED25519_BASEPOINT_TABLE * s,
            None => EdwardsPoint::vartime_double_scalar_mul_basepoint(k, &key.minus, s),
        };
        (expected - r).mul_by_cofactor().is_identity()
    }
}

impl fmt::Debug for KnownKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnownKeys({})", self.keys.len())
    }
}

/// Many signatures in one sum.
#[cfg(not(target_family = "wasm"))]
mod many {
    use super::{Claim, EdwardsPoint, Equation, IsIdentity as _, KnownKeys, MAX_TABLES, Scalar, Table};
    use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
    use curve25519_dalek::edwards::VartimeEdwardsPrecomputation;
    use curve25519_dalek::traits::{VartimeMultiscalarMul as _, VartimePrecomputedMultiscalarMul as _};
    use std::collections::BTreeMap;

    /// Even if a key has signed nothing, its table costs a sum time: about a fifth of what a signer without a table
    /// costs. With more tables than this for each signer, none is used.
    const TABLES_PER_SIGNER: usize = 5;
    /// For more signatures than this, the library's sum without tables is the faster one.
    const MAX_WITH_TABLES: usize = 128;

    /// Multiples of the base point and of the first keys, in their order.
    pub(super) type Tables = Table<VartimeEdwardsPrecomputation>;

    impl KnownKeys {
        /// Whether all claims hold.
        pub(crate) fn verify_all<'a>(&self, claims: impl Iterator<Item = &'a Claim>) -> bool {
            let equations: Option<Vec<Equation<'_>>> = claims.map(|claim| self.equation(claim)).collect();
            match equations.as_deref() {
                None => false,
                Some([]) => true,
                Some([equation]) => equation.holds(),
                Some(equations) => self.hold_together(equations),
            }
        }

        /// Whether `[8]` of the sum of all equations, each times a random factor, is 0.
        fn hold_together(&self, equations: &[Equation<'_>]) -> bool {
            let terms = Terms::new(equations);
            let signers = terms.of_keys.range(..MAX_TABLES).count();
            let is_better =
                equations.len() <= MAX_WITH_TABLES && self.tables() <= TABLES_PER_SIGNER * signers;
            let tables = if is_better { self.together.get(|| self.make_tables()) } else { None };
            let sum = match tables {
                Some(tables) => self.sum_with(tables, terms),
                None => self.sum(terms),
            };
            sum.mul_by_cofactor().is_identity()
        }

        fn sum_with(&self, tables: &VartimeEdwardsPrecomputation, mut terms: Terms) -> EdwardsPoint {
            let of_table = |index| terms.of_keys.remove(&index).unwrap_or_default();
            let of_tables: Vec<Scalar> = (0..self.tables()).map(of_table).collect();
            let of_tables = [terms.of_base].into_iter().chain(of_tables);
            let (factors, points) = self.with_keys(terms);
            tables.vartime_mixed_multiscalar_mul(of_tables, factors, points)
        }

        fn sum(&self, terms: Terms) -> EdwardsPoint {
            let of_base = terms.of_base;
            let (mut factors, mut points) = self.with_keys(terms);
            factors.push(of_base);
            points.push(ED25519_BASEPOINT_POINT);
            EdwardsPoint::vartime_multiscalar_mul(factors, points)
        }

        /// How many keys have tables.
        fn tables(&self) -> usize {
            self.keys.len().min(MAX_TABLES)
        }

        fn make_tables(&self) -> VartimeEdwardsPrecomputation {
            let keys = self.keys.iter().take(MAX_TABLES).map(|key| key.minus);
            VartimeEdwardsPrecomputation::new([ED25519_BASEPOINT_POINT].into_iter().chain(keys))
        }

        /// The factors and points of all signatures and keys.
        fn with_keys(&self, terms: Terms) -> (Vec<Scalar>, Vec<EdwardsPoint>) {
            let Terms { of_keys, mut factors, mut points, .. } = terms;
            points.extend(of_keys.keys().map(|index| self.keys[*index].minus));
            factors.extend(of_keys.into_values());
            (factors, points)
        }
    }

    /// What is summed up: factors of the base point, of keys by index, and of the points `-R`.
    struct Terms {
        of_base: Scalar,
        of_keys: BTreeMap<usize, Scalar>,
        factors: Vec<Scalar>,
        points: Vec<EdwardsPoint>,
    }

    impl Terms {
        fn new(equations: &[Equation<'_>]) -> Terms {
            let (mut of_base, mut of_keys) = (Scalar::ZERO, BTreeMap::<usize, Scalar>::new());
            let mut factors = Vec::new();
            for Equation { author, s, k, .. } in equations {
                // The factors must not be guessable by whoever made the signatures,
                // or forgeries could be made to cancel out: hence no seeded generator.
                let factor = Scalar::from(rand::random::<u128>());
                of_base += factor * s;
                *of_keys.entry(*author).or_default() += factor * k;
                factors.push(factor);
            }
            Terms {
                of_base,
                of_keys,
                factors,
                points: equations.iter().map(|equation| -equation.r).collect(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ReplicaId;
    use crate::keys::{Signature, key_pairs};
    use ed25519_zebra::{SigningKey, VerificationKey};

    /// What another implementation of ZIP 215 says.
    fn expected(keys: &[PublicKey], claim: &Claim) -> bool {
        let Some(key) = keys.get(usize::from(claim.author.0)) else { return false };
        let key = VerificationKey::try_from(key.0).unwrap();
        key.verify(&claim.signature.0.into(), &claim.bytes).is_ok()
    }

    /// All sorts of encodings of points whose order divides 8: those of `EIGHT_TORSION`, and those that are not canonical.
    fn of_small_order() -> Vec<[u8; 32]> {
        let canonical = curve25519_dalek::constants::EIGHT_TORSION.map(|point| point.compress().0);
        let with = |first: u8, rest: u8, last: u8| {
            let mut bytes = [rest; 32];
            (bytes[0], bytes[31]) = (first, last);
            bytes
        };
        let others = [
            with(0x01, 0, 0x80),
            with(0xec, 0xff, 0xff),
            with(0xed, 0xff, 0x7f),
            with(0xed, 0xff, 0xff),
            with(0xee, 0xff, 0x7f),
            with(0xee, 0xff, 0xff),
        ];
        canonical.into_iter().chain(others).collect()
    }

    #[test]
    fn points_of_small_order_are_taken_as_by_others() {
        let points = of_small_order();
        let keys: Vec<PublicKey> = points.iter().map(|bytes| PublicKey(*bytes)).collect();
        let known = KnownKeys::new(&keys).unwrap();
        let claims: Vec<Claim> = (0..keys.len() as u16)
            .flat_map(|author| points.iter().map(move |r| (ReplicaId(author), r)))
            .map(|(author, r)| {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(r);
                Claim { author, bytes: b"Zcash".to_vec(), signature: Signature(signature) }
            })
            .collect();
        assert_eq!(claims.len(), 14 * 14);
        let check = || {
            for claim in &claims {
                assert!(expected(&keys, claim) && known.verify(claim), "{claim:?}");
            }
            assert!(known.verify_all(claims.iter()));
            assert!(claims.chunks(28).all(|some| known.verify_all(some.iter())));
        };
        check();
        make_tables(&known, &claims);
        check();
    }

    /// Checks alone and together until there are tables of all keys that may have one.
    fn make_tables(known: &KnownKeys, claims: &[Claim]) {
        for _ in 0..=CHECKS_BEFORE_TABLE {
            claims.iter().for_each(|claim| assert!(known.verify(claim)));
            assert!(claims.chunks(28).all(|some| known.verify_all(some.iter())));
        }
        let has_table =
            |claim: &Claim| known.keys[usize::from(claim.author.0)].multiples.made.get().is_some();
        assert!(claims.iter().all(|claim| has_table(claim) == (usize::from(claim.author.0) < MAX_TABLES)));
    }

    /// Signed by `count` keys in turn.
    fn signed(count: u16, claims: u16) -> (Vec<PublicKey>, KnownKeys, Vec<Claim>) {
        let pairs = key_pairs(5, count);
        let keys: Vec<PublicKey> = pairs.iter().map(|(_, public)| *public).collect();
        let known = KnownKeys::new(&keys).unwrap();
        let claim = |number: u16| {
            // Forwards and backwards, so that first and last keys are signers.
            let author = if number.is_multiple_of(2) { number % count } else { count - 1 - number % count };
            let bytes = vec![number as u8; usize::from(number)];
            let signature = SigningKey::from(pairs[usize::from(author)].0.0).sign(&bytes);
            Claim { author: ReplicaId(author), bytes, signature: Signature(signature.into()) }
        };
        (keys, known, (0..claims).map(claim).collect())
    }

    #[test]
    fn whatever_is_changed_is_noticed_alone_and_among_others() {
        // Whether the sum has tables: for all keys, for none as few have signed, for all but the last keys, for none as there are many.
        let cases =
            [(1, 3, true), (4, 9, true), (20, 3, false), (20, 19, true), (34, 24, true), (4, 130, false)];
        for (count, many, has_tables) in cases {
            let (keys, known, claims) = signed(count, many);
            assert!(known.verify_all(claims.iter()), "{count} keys, without tables");
            make_tables(&known, &claims[..claims.len().min(28)]);
            assert_eq!(
                known.together.made.get().is_some(),
                has_tables || many > 28,
                "{count} keys, {many} claims"
            );
            assert!(known.verify_all(claims.iter()), "{count} keys");
            let judge = |changed: Claim, at: usize| {
                let expected = expected(&keys, &changed);
                assert_eq!(known.verify(&changed), expected, "{count} keys: {changed:?}");
                let mut all = claims.clone();
                all[at] = changed;
                assert_eq!(known.verify_all(all.iter()), expected, "{count} keys: {:?}", all[at]);
                expected
            };
            for (at, claim) in claims.iter().enumerate().take(if many > 100 { 2 } else { many.into() }) {
                assert!(judge(claim.clone(), at), "unchanged");
                for byte in 0..64 {
                    let mut changed = claim.clone();
                    changed.signature.0[byte] ^= 1 << (byte % 8);
                    assert!(!judge(changed, at));
                }
                let longer = [&claim.bytes[..], b"x"].concat();
                assert!(!judge(Claim { bytes: longer, ..claim.clone() }, at));
                assert!(!judge(Claim { author: ReplicaId(count), ..claim.clone() }, at), "nobody's");
                if count > 1 {
                    let other = ReplicaId((claim.author.0 + 1) % count);
                    assert!(!judge(Claim { author: other, ..claim.clone() }, at));
                }
            }
        }
    }

    #[test]
    fn nothing_is_checked_and_a_table_is_made_when_it_is_worth_it() {
        let (_, known, claims) = signed(4, 4);
        assert!(known.verify_all([].into_iter()));
        let is_made = || known.keys[0].multiples.made.get().is_some();
        for _ in 0..CHECKS_BEFORE_TABLE {
            assert!(known.verify_all([&claims[0]].into_iter()) && known.verify_all(claims.iter()));
        }
        assert!(!is_made() && known.together.made.get().is_none());
        assert!(known.verify_all([&claims[0]].into_iter()) && known.verify_all(claims.iter()));
        assert!(is_made() && known.together.made.get().is_some());
    }

    #[test]
    fn the_scalar_must_be_below_the_order() {
        let (keys, known, claims) = signed(4, 2);
        // s + l is the same scalar, written otherwise.
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut changed = claims[1].clone();
        let mut carry = 0;
        for (byte, add) in changed.signature.0[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            (*byte, carry) = (sum as u8, sum >> 8);
        }
        assert!(!expected(&keys, &changed) && !known.verify(&changed));
        assert!(!known.verify_all([&claims[0], &changed].into_iter()));
    }

    #[test]
    fn two_forgeries_do_not_cancel_out() {
        let (_, known, mut claims) = signed(4, 4);
        let genuine = claims.clone();
        // Without random factors, what one has too much the other has too little of.
        for (at, minus) in [(0, false), (2, true)] {
            let s = Scalar::from_canonical_bytes(claims[at].signature.0[32..].try_into().unwrap()).unwrap();
            let changed = if minus { s - Scalar::ONE } else { s + Scalar::ONE };
            claims[at].signature.0[32..].copy_from_slice(changed.as_bytes());
        }
        assert!(!known.verify_all(claims.iter()));
        make_tables(&known, &genuine);
        assert!(!known.verify_all(claims.iter()));
    }
}
