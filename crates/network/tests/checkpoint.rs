//! Saving and loading: training goes on as if it had never stopped, and a file is whole or refused.

mod tiny;

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use binary_nets_cpu::Cpu;
use binary_nets_data::SamplerState;
use binary_nets_formats::checkpoint::{Checkpoint, decode, encode};
use binary_nets_network::{Network, NetworkError};
use tiny::{BATCH, compile, cpu, dataset, everything, loader, network, states, train, trainable};

fn open(path: &Path) -> Result<(Network<Cpu>, String), NetworkError> {
    Network::open(cpu(1), path)
}

#[test]
fn resuming_is_not_stopping() {
    let data = dataset(BATCH * 4);
    let mut uninterrupted = trainable(cpu(2));
    let losses = train(&mut uninterrupted, &mut loader(&data, SamplerState::default()), 10);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs/1/last.safetensors");
    let mut network = trainable(cpu(2));
    let mut batches = loader(&data, SamplerState::default());
    assert_eq!(train(&mut network, &mut batches, 6), losses[..6]);
    network.save(&path, r#"{"epoch":1}"#).unwrap();
    let state = batches.state();
    drop((network, batches));

    let (mut network, metadata) = open(&path).unwrap();
    assert_eq!((metadata.as_str(), network.step()), (r#"{"epoch":1}"#, 6));
    assert_eq!(network.spec(), &tiny::model());
    compile(&mut network);
    assert_eq!(train(&mut network, &mut loader(&data, state), 4), losses[6..]);
    assert!(everything(&network) == everything(&uninterrupted));
}

#[test]
fn a_network_that_never_trained_is_saved_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fresh");
    let fresh = network(cpu(1));
    fresh.save(&path, "").unwrap();
    let (again, metadata) = open(&path).unwrap();
    assert_eq!((metadata.as_str(), states(&again)), ("", states(&fresh)));
    assert!(everything(&again) == everything(&fresh));
}

#[test]
fn a_damaged_file_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged");
    let bytes = everything(&trainable(cpu(1)));
    let refused = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).unwrap();
        match open(&path) {
            Ok(_) => panic!("{what} was opened"),
            Err(error) => {
                assert!(
                    matches!(error, NetworkError::Format { .. } | NetworkError::Checkpoint { .. }),
                    "{what}: {error}"
                );
                assert!(error.to_string().contains("damaged"), "{error}");
                error.to_string()
            }
        }
    };
    for length in (0..bytes.len()).step_by(509) {
        refused(&bytes[..length], &format!("a file of {length} bytes"));
    }
    for at in (0..bytes.len()).step_by(257) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        refused(&changed, &format!("a change at byte {at}"));
    }
    refused(&[&bytes[..], b"x"].concat(), "a longer file");

    // Whole files that are no network of their own spec.
    let checkpoint = decode(&bytes).unwrap();
    let culprit = |edit: &dyn Fn(&mut Checkpoint), name: &str| {
        let mut edited = checkpoint.clone();
        edit(&mut edited);
        let message = refused(&encode(&edited).unwrap(), name);
        assert!(message.contains(name), "{message}");
    };
    culprit(&|c| c.spec = c.spec.replace("\"conv2\"", "2"), "graph spec");
    culprit(&|c| c.tensors.retain(|t| t.path != "fc.bias"), "fc.bias");
    culprit(&|c| c.tensors.iter_mut().for_each(|t| t.path = t.path.replace("fc.bias", "fc.boas")), "fc.bias");
    culprit(&|c| c.tensors.iter_mut().filter(|t| t.path == "fc.weight").for_each(|t| t.shape.reverse()), "fc.weight");
    culprit(
        &|c| {
            c.tensors.iter_mut().filter(|t| t.path == "fc.bias").for_each(|t| {
                t.shape = vec![5];
                t.data = vec![0.0; 5];
            });
        },
        "fc.bias",
    );
    culprit(
        &|c| {
            let mut extra = c.tensors[0].clone();
            "extra.weight".clone_into(&mut extra.path);
            c.tensors.push(extra);
        },
        "extra.weight",
    );

    let missing = open(&folder.path().join("nowhere")).map(|_| ()).unwrap_err();
    assert!(matches!(missing, NetworkError::Io { .. }) && missing.to_string().contains("nowhere"), "{missing}");
}

#[test]
fn a_save_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    // A folder stands where the file should go.
    let path = folder.path().join("taken");
    fs::create_dir_all(path.join("inner")).unwrap();
    let error = network(cpu(1)).save(&path, "").unwrap_err();
    assert!(matches!(error, NetworkError::Io { .. }) && error.to_string().contains("taken"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the part was removed");
}

/// Where the process that is killed saves.
const SAVER: &str = "BINARY_NETS_TEST_SAVER";

#[test]
fn a_killed_save_leaves_the_old_file_whole() {
    if let Some(path) = env::var_os(SAVER) {
        // This is the process that is killed.
        let mut network = network(cpu(1));
        for i in 0u32.. {
            network.set_state("fc.bias", &[i as f32; tiny::CLASSES]).unwrap();
            network.save(Path::new(&path), &i.to_string()).unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last");
    for milliseconds in [1, 7, 13, 22, 31] {
        let mut saver = Command::new(env::current_exe().unwrap())
            .args(["--exact", "a_killed_save_leaves_the_old_file_whole"])
            .env(SAVER, &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while !path.exists() {
            assert!(start.elapsed() < Duration::from_secs(30), "nothing was saved");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(milliseconds));
        saver.kill().unwrap();
        saver.wait().unwrap();
        let (network, metadata) = open(&path).unwrap();
        assert_eq!(network.state("fc.bias").unwrap()[0], metadata.parse::<f32>().unwrap());
    }
}
