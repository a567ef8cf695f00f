//! Where `libonnxruntime` may lie on this machine. Only looks; nothing is executed and nothing is loaded.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Candidates, best first, each an existing file.
///
/// `configured` (`executor.library`) stands alone when it is given: an operator who names a library wants that one or an error.
/// Otherwise: `ORT_DYLIB_PATH`; the program's folder and `lib/` in it; Python environments (the program's own, `VIRTUAL_ENV`, `CONDA_PREFIX`, those behind the
/// `python3` in `PATH`, the user's and the system's `site-packages`); the system's library folders.
pub(crate) fn candidates(
    configured: Option<&Path>,
    environment: &dyn Fn(&str) -> Option<OsString>,
    program: Option<&Path>,
) -> Vec<PathBuf> {
    if let Some(path) = configured {
        return vec![resolve(path).unwrap_or_else(|| path.to_owned())];
    }
    let mut found = Vec::new();
    let mut add = |path: Option<PathBuf>| {
        if let Some(path) = path
            && !found.contains(&path)
        {
            found.push(path);
        }
    };
    add(environment("ORT_DYLIB_PATH").and_then(|p| resolve(Path::new(&p))));
    if let Some(folder) = program.and_then(Path::parent) {
        add(library_in(folder));
        add(library_in(&folder.join("lib")));
    }
    // Where the program itself is of a Python environment, that comes first: its package came with a library.
    let own = program.and_then(|program| program.parent()?.parent());
    let mut prefixes: Vec<PathBuf> = own.map(Path::to_owned).into_iter().collect();
    let active = ["VIRTUAL_ENV", "CONDA_PREFIX"];
    prefixes.extend(
        active
            .iter()
            .filter_map(|v| environment(v))
            .map(PathBuf::from),
    );
    let path = environment("PATH").unwrap_or_default();
    prefixes.extend(
        std::env::split_paths(&path)
            .filter(|d| d.join("python3").exists())
            .filter_map(|d| d.parent().map(Path::to_owned)),
    );
    prefixes.extend(environment("HOME").map(|home| Path::new(&home).join(".local")));
    prefixes.extend(["/usr/local", "/usr"].map(PathBuf::from));
    for prefix in prefixes {
        for site in site_packages(&prefix) {
            add(library_in(&site.join("onnxruntime/capi")));
        }
    }
    for folder in [
        "/usr/local/lib",
        "/usr/lib",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
    ] {
        add(library_in(Path::new(folder)));
    }
    found
}

/// The version that the file name carries, following a link: `libonnxruntime.so.1.31.1` has `1.31.1`.
pub(crate) fn version(path: &Path) -> Option<String> {
    let name_version = |p: &Path| {
        let name = p.file_name()?.to_str()?.to_owned();
        let digits = name
            .strip_prefix("libonnxruntime.so.")
            .or_else(|| name.strip_prefix("libonnxruntime.")?.strip_suffix(".dylib"))?;
        digits
            .starts_with(|c: char| c.is_ascii_digit())
            .then(|| digits.to_owned())
    };
    let real = path.canonicalize().ok();
    real.as_deref()
        .and_then(name_version)
        .or_else(|| name_version(path))
}

/// A file as it is; a folder stands for the library in it.
fn resolve(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        library_in(path)
    } else {
        path.is_file().then(|| path.to_owned())
    }
}

/// The library in a folder; of several the one with the highest version, a name without one first.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let mut names: Vec<PathBuf> = entries(folder)
        .into_iter()
        .filter(|p| {
            let name = p.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let linux = name
                .strip_prefix("libonnxruntime.so")
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            let mac = name.starts_with("libonnxruntime.") && name.ends_with(".dylib");
            (linux || mac) && p.is_file()
        })
        .collect();
    names.sort_by_key(|p| (version(p).is_none(), numbers(p)));
    names.pop()
}

fn numbers(path: &Path) -> Vec<u32> {
    version(path)
        .unwrap_or_default()
        .split('.')
        .map(|n| n.parse().unwrap_or(0))
        .collect()
}

fn site_packages(prefix: &Path) -> Vec<PathBuf> {
    let mut sites: Vec<PathBuf> = ["lib", "lib64"]
        .iter()
        .flat_map(|lib| entries(&prefix.join(lib)))
        .filter(|p| {
            p.file_name()
                .and_then(|n| n.to_str())
                .is_some_and(|n| n.starts_with("python3"))
        })
        .flat_map(|p| [p.join("site-packages"), p.join("dist-packages")])
        .collect();
    sites.sort();
    sites.reverse();
    sites
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .map(|all| all.filter_map(|e| e.ok().map(|e| e.path())).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<OsString> {
        None
    }

    #[test]
    fn finds_a_wheel_in_a_virtual_environment_and_reads_its_version() {
        let root = tempfile::tempdir().unwrap();
        let capi = root
            .path()
            .join("lib/python3.11/site-packages/onnxruntime/capi");
        std::fs::create_dir_all(&capi).unwrap();
        for name in [
            "libonnxruntime.so.1.9.0",
            "libonnxruntime.so.1.31.1",
            "libonnxruntime_providers_shared.so",
        ] {
            std::fs::write(capi.join(name), b"").unwrap();
        }
        let env = |name: &str| (name == "VIRTUAL_ENV").then(|| root.path().as_os_str().to_owned());
        let found = candidates(None, &env, None);
        assert_eq!(
            found.iter().filter(|p| p.starts_with(root.path())).count(),
            1
        );
        assert_eq!(
            version(&found[0]).as_deref(),
            Some("1.31.1"),
            "versions compare as numbers"
        );
    }

    #[test]
    fn a_configured_path_stands_alone_even_when_it_is_missing() {
        let path = Path::new("/nowhere/libonnxruntime.so");
        assert_eq!(candidates(Some(path), &nothing, None), [path]);
    }

    #[test]
    fn folder_beside_the_program_is_searched() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("lib")).unwrap();
        let library = root.path().join("lib/libonnxruntime.so");
        std::fs::write(&library, b"").unwrap();
        assert_eq!(
            candidates(None, &nothing, Some(&root.path().join("delta-node")))[0],
            library
        );
    }
}
