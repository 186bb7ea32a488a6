//! Says what Cloudflare's crates signed_note and tlog_tiles make of notes, checkpoints and proofs.
//!
//! Reads one JSON object from stdin and writes one to stdout; byte strings are standard base64. What a crate refuses is
//! null, or false.

use std::error::Error;
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};

use base64::prelude::{Engine as _, BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use signed_note::{Note, StandardVerifier, Verifier, VerifierList};
use tlog_tiles::{check_record, check_tree, Checkpoint, Hash};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    vkeys: Vec<String>,
    notes: Vec<String>,
    checkpoints: Vec<String>,
    inclusion: Vec<Inclusion>,
    consistency: Vec<Consistency>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inclusion {
    index: u64,
    size: u64,
    root: Hash,
    leaf_hash: Hash,
    proof: Vec<Hash>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consistency {
    old: u64,
    new: u64,
    old_root: Hash,
    new_root: Hash,
    proof: Vec<Hash>,
}

#[derive(Serialize)]
struct Answer {
    notes: Vec<Option<Opened>>,
    checkpoints: Vec<Option<Parsed>>,
    inclusion: Vec<bool>,
    consistency: Vec<bool>,
}

#[derive(Serialize)]
struct Opened {
    text: String,
    verified: Vec<(String, u32)>,
    unverified: usize,
}

#[derive(Serialize)]
struct Parsed {
    origin: String,
    size: u64,
    root: String,
    extension: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let request: Request = serde_json::from_reader(io::stdin())?;
    // A crate that panics refuses; how, is not our business here.
    std::panic::set_hook(Box::new(|_| {}));
    let answer = Answer {
        notes: each(&request.notes, |note| open(note, &request.vkeys))?,
        checkpoints: each(&request.checkpoints, parse)?,
        inclusion: request.inclusion.iter().map(is_included).collect(),
        consistency: request.consistency.iter().map(is_consistent).collect(),
    };
    serde_json::to_writer(io::stdout(), &answer)?;
    Ok(())
}

/// Decodes each item and applies what may refuse it.
fn each<T>(
    items: &[String],
    apply: impl Fn(&[u8]) -> Option<T>,
) -> Result<Vec<Option<T>>, Box<dyn Error>> {
    let mut results = Vec::new();
    for item in items {
        let data = BASE64_STANDARD.decode(item)?;
        results.push(catch_unwind(AssertUnwindSafe(|| apply(&data))).unwrap_or(None));
    }
    Ok(results)
}

fn open(data: &[u8], vkeys: &[String]) -> Option<Opened> {
    let mut verifiers: Vec<Box<dyn Verifier>> = Vec::new();
    for vkey in vkeys {
        verifiers.push(Box::new(StandardVerifier::new(vkey).ok()?));
    }
    let note = Note::from_bytes(data).ok()?;
    let (verified, unverified) = note.verify(&VerifierList::new(verifiers)).ok()?;
    Some(Opened {
        text: BASE64_STANDARD.encode(note.text()),
        verified: verified
            .iter()
            .map(|line| (line.name().to_owned(), line.id()))
            .collect(),
        unverified: unverified.len(),
    })
}

fn parse(data: &[u8]) -> Option<Parsed> {
    let checkpoint = Checkpoint::from_bytes(data).ok()?;
    Some(Parsed {
        origin: checkpoint.origin().to_owned(),
        size: checkpoint.size(),
        root: BASE64_STANDARD.encode(checkpoint.hash().0),
        extension: checkpoint.extension().to_owned(),
    })
}

fn is_included(item: &Inclusion) -> bool {
    let check = || {
        check_record(
            &item.proof,
            item.size,
            item.root,
            item.index,
            item.leaf_hash,
        )
        .is_ok()
    };
    catch_unwind(AssertUnwindSafe(check)).unwrap_or(false)
}

fn is_consistent(item: &Consistency) -> bool {
    let check = || {
        check_tree(
            &item.proof,
            item.new,
            item.new_root,
            item.old,
            item.old_root,
        )
        .is_ok()
    };
    catch_unwind(AssertUnwindSafe(check)).unwrap_or(false)
}
