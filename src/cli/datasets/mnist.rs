//! MNIST's training set, as the original lays it out: `mnist/<digit>/<index>.npy`, 784 values from 0 to 255 as f32.
//!
//! The four published files are checked against their digests, so that any mirror will do. Only `file://` is fetched so far.

use std::fs;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use super::kept;
use delta_domain::npy;
use delta_domain::tensor::{Tensor, TensorData};

/// Where the files are when nothing else is said.
pub(crate) const MNIST_URL: &str = "https://ossci-datasets.s3.amazonaws.com/mnist/";

const IMAGES: Source = Source {
    name: "train-images-idx3-ubyte.gz",
    sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
};
const LABELS: Source = Source {
    name: "train-labels-idx1-ubyte.gz",
    sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
};

/// More than any of the files holds, packed or not.
const LIMIT: u64 = 64 << 20;

const SIDE: usize = 28;

/// What to fetch, and from where.
#[derive(Debug, Clone)]
pub(crate) struct MnistOptions {
    /// The folder of the files.
    pub(crate) url: String,
    /// All images, not a random third. The original keeps a third, so that nodes on one machine have different data.
    pub(crate) all: bool,
    /// Replace an existing folder.
    pub(crate) force: bool,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    name: &'static str,
    sha256: &'static str,
}

/// Fetches, checks and unpacks MNIST into `data_dir`; `progress` is told how far it is.
///
/// # Errors
/// The files cannot be had, are not MNIST's, or cannot be written.
pub(crate) fn put_mnist(
    data_dir: &Path,
    options: &MnistOptions,
    progress: &mut impl Write,
) -> anyhow::Result<String> {
    put(data_dir, options, [IMAGES, LABELS], progress)
}

fn put(
    data_dir: &Path,
    options: &MnistOptions,
    [images, labels]: [Source; 2],
    progress: &mut impl Write,
) -> anyhow::Result<String> {
    let folder = data_dir.join("mnist");
    if folder.exists() && !options.force {
        return Ok(kept(&folder));
    }
    let images = unpack(&fetch(&options.url, images)?)?;
    let labels = unpack(&fetch(&options.url, labels)?)?;
    let images = items(&images, 0x0803, &[SIDE, SIDE])?;
    let labels = items(&labels, 0x0801, &[])?;
    ensure!(
        images.len() == labels.len() * SIDE * SIDE,
        "MNIST's images and labels differ in number"
    );

    fs::create_dir_all(data_dir)
        .with_context(|| format!("cannot make the directory {}", data_dir.display()))?;
    // Filled aside and renamed, so that a task never sees half the data. The leading dot keeps it out of the datasets.
    let aside = tempfile::Builder::new()
        .prefix(".mnist-")
        .tempdir_in(data_dir)?;
    let count = write_samples(aside.path(), images, labels, options.all, progress)?;
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot replace {}", folder.display()))?;
    }
    fs::rename(aside.keep(), &folder)
        .with_context(|| format!("cannot write {}", folder.display()))?;
    Ok(format!("wrote {count} images into {}", folder.display()))
}

fn write_samples(
    folder: &Path,
    images: &[u8],
    labels: &[u8],
    all: bool,
    progress: &mut impl Write,
) -> anyhow::Result<usize> {
    for digit in 0..10 {
        fs::create_dir(folder.join(digit.to_string()))?;
    }
    let mut chance = chance()?;
    let mut count = 0;
    for (index, (image, label)) in images.chunks_exact(SIDE * SIDE).zip(labels).enumerate() {
        ensure!(
            *label < 10,
            "MNIST's labels are digits; number {index} is {label}"
        );
        if index % 1000 == 0 {
            write!(
                progress,
                "\runpacking MNIST: {:>3} %",
                index * 100 / labels.len()
            )?;
            progress.flush()?;
        }
        if !all && chance.next_u32() >= u32::MAX / 3 {
            continue;
        }
        let pixels = image.iter().map(|pixel| f32::from(*pixel)).collect();
        let sample = Tensor::new(vec![image.len()], TensorData::F32(pixels))?;
        fs::write(
            folder.join(format!("{label}/{index}.npy")),
            npy::encode(&sample),
        )?;
        count += 1;
    }
    writeln!(progress, "\runpacking MNIST: 100 %")?;
    Ok(count)
}

fn chance() -> anyhow::Result<rand_chacha::ChaCha8Rng> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("the system has no randomness")?;
    Ok(rand_chacha::ChaCha8Rng::from_seed(seed))
}

/// The payload of an IDX file: `magic`, the number of items, each dimension, then bytes.
fn items<'b>(file: &'b [u8], magic: u32, shape: &[usize]) -> anyhow::Result<&'b [u8]> {
    let mut words = file.chunks_exact(4).map(|word| {
        word.iter()
            .fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte))
    });
    ensure!(
        words.next() == Some(magic),
        "not an IDX file of the expected kind"
    );
    let count = words.next().context("the IDX file is cut short")?;
    for side in shape {
        ensure!(
            words.next().map(usize::try_from) == Some(Ok(*side)),
            "an IDX file of another shape"
        );
    }
    let payload = file
        .get(4 * (2 + shape.len())..)
        .context("the IDX file is cut short")?;
    let wanted = usize::try_from(count)? * shape.iter().product::<usize>();
    ensure!(
        payload.len() == wanted,
        "the IDX file holds {} bytes and promises {wanted}",
        payload.len()
    );
    Ok(payload)
}

fn unpack(packed: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let length = flate2::read::GzDecoder::new(packed)
        .take(LIMIT)
        .read_to_end(&mut plain)?;
    ensure!(
        u64::try_from(length)? < LIMIT,
        "the file expands to more than MNIST holds"
    );
    Ok(plain)
}

fn fetch(url: &str, source: Source) -> anyhow::Result<Vec<u8>> {
    let Some(folder) = url.strip_prefix("file://") else {
        bail!(
            "this program cannot download yet: fetch {0} and {1} from {url} into a folder, then run this command with --url file:///that/folder",
            IMAGES.name,
            LABELS.name
        );
    };
    let path = PathBuf::from(folder).join(source.name);
    let file = fs::File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut bytes = Vec::new();
    file.take(LIMIT)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let digest = Sha256::digest(&bytes);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(
        digest == source.sha256,
        "{} is not MNIST's: its SHA-256 is {digest}, not {}",
        path.display(),
        source.sha256
    );
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn published(folder: &Path, name: &'static str, plain: &[u8]) -> Source {
        let bytes = gzip(plain);
        fs::write(folder.join(name), &bytes).unwrap();
        let hex: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Source {
            name,
            sha256: hex.leak(),
        }
    }

    #[test]
    fn files_become_one_array_a_sample_in_class_folders() {
        let home = tempfile::tempdir().unwrap();
        let mut images = b"\0\0\x08\x03\0\0\0\x02\0\0\0\x1c\0\0\0\x1c".to_vec();
        images.extend([7_u8; 784]);
        images.extend([9_u8; 784]);
        let sources = [
            published(home.path(), "i.gz", &images),
            published(home.path(), "l.gz", b"\0\0\x08\x01\0\0\0\x02\x03\x08"),
        ];
        let options = MnistOptions {
            url: format!("file://{}", home.path().display()),
            all: true,
            force: false,
        };
        let data = home.path().join("data");
        let said = put(&data, &options, sources, &mut Vec::new()).unwrap();
        assert!(said.starts_with("wrote 2 images"), "{said}");
        let sample = fs::read(data.join("mnist/8/1.npy")).unwrap();
        assert_eq!(sample.len(), 128 + 784 * 4);
        let tensor = npy::decode(&sample).unwrap();
        assert_eq!(tensor.shape(), [784]);
        assert_eq!(sample[128..132], 9_f32.to_le_bytes());
        assert!(
            put(&data, &options, sources, &mut Vec::new())
                .unwrap()
                .contains("was kept")
        );
    }

    #[test]
    fn other_files_and_other_places_are_refused() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(IMAGES.name), "x").unwrap();
        let here = format!("file://{}", home.path().display());
        assert!(
            fetch(&here, IMAGES)
                .unwrap_err()
                .to_string()
                .contains("is not MNIST's")
        );
        assert!(
            fetch(&here, LABELS)
                .unwrap_err()
                .to_string()
                .contains("cannot read")
        );
        assert!(
            fetch(MNIST_URL, LABELS)
                .unwrap_err()
                .to_string()
                .contains("file://")
        );
        assert!(items(b"\0\0\x08\x01\0\0\0\x09ab", 0x0801, &[]).is_err());
        assert!(items(b"\0\0\x08", 0x0801, &[]).is_err());
    }
}
