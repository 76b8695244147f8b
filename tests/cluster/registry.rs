//! The generated configuration runs the real registry: images are pushed, pulled, and refused when it is read-only.

use crate::support::*;
use anyhow::{Context, Result, bail, ensure};
use moorage_harness::{ControlPlane, Sandbox, eventually};
use serde_json::json;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

crate::cases![the_generated_configuration_serves_images];

/// A process that ends with its owner.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn the_generated_configuration_serves_images(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "real-registry").await?;
    sandbox.apply(IMAGES).await?;
    ready(&sandbox, "Registry", "images").await?;
    let folder = sandbox.work_dir().join("real-registry");
    std::fs::create_dir_all(&folder)?;
    let image = one_layer(&folder)?;
    {
        let (_server, host) = serve(&sandbox, &folder).await?;
        crane(
            &sandbox,
            &["append", "--oci-empty-base", "--insecure", "-f", &image, "-t", &format!("{host}/team/shop:1")],
        )?;
        let pulled = folder.join("pulled.tar").display().to_string();
        crane(&sandbox, &["pull", "--insecure", &format!("{host}/team/shop:1"), &pulled])?;
        ensure!(std::fs::metadata(&pulled)?.len() > 0);
        let log = log(&folder)?;
        ensure!(!served(&log), "a push and a pull were logged, and nobody asked for that: {log}");
    }
    patch(&sandbox, "Registry", "images", &json!({"spec": {"readOnly": true, "logLevel": "Info"}})).await?;
    until(&sandbox, "ConfigMap", "images-config", "to be read-only", |object| {
        object["data"]["config.yml"].as_str().is_some_and(|config| config.contains("readonly"))
    })
    .await?;
    ready(&sandbox, "Registry", "images").await?;
    let (_server, host) = serve(&sandbox, &folder).await?;
    crane(&sandbox, &["manifest", "--insecure", &format!("{host}/team/shop:1")])?;
    let refused = crane(
        &sandbox,
        &["append", "--oci-empty-base", "--insecure", "-f", &image, "-t", &format!("{host}/team/shop:2")],
    );
    ensure!(refused.is_err(), "a read-only registry took a push");
    let log = log(&folder)?;
    ensure!(served(&log), "requests are asked for, and the log is {log}");
    Ok(())
}

/// Starts the real registry with the configuration that stands in the cluster; only paths and ports are this machine's.
async fn serve(sandbox: &Sandbox, folder: &Path) -> Result<(Server, String)> {
    let map = must_get(sandbox, "ConfigMap", "images-config").await?;
    let config = map["data"]["config.yml"].as_str().context("no config.yml")?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let data = folder.join("data").display().to_string();
    ensure!(config.contains("/var/lib/registry") && config.contains(":5000"), "{config}");
    let local = config.replace("/var/lib/registry", &data).replace(":5000", &format!("127.0.0.1:{port}"));
    let path = folder.join("config.yml");
    std::fs::write(&path, local)?;
    let log = std::fs::File::create(folder.join("registry.log"))?;
    let child = Command::new(sandbox.bin("registry")?)
        .arg("serve")
        .arg(&path)
        .env("OTEL_TRACES_EXPORTER", "none")
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?;
    let server = Server(child);
    eventually(DEADLINE, "the registry to answer", || async {
        Ok(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok().then_some(()))
    })
    .await?;
    Ok((server, format!("127.0.0.1:{port}")))
}

/// What the registry that was started last has logged.
fn log(folder: &Path) -> Result<String> {
    Ok(std::fs::read_to_string(folder.join("registry.log"))?)
}

/// Whether it tells of a request that was served; refused ones are errors.
fn served(log: &str) -> bool {
    log.lines().any(|line| line.contains("\"response completed\"") && line.contains("/v2/team/shop/"))
}

/// A layer with one file in it.
fn one_layer(folder: &Path) -> Result<String> {
    let file: PathBuf = folder.join("hello");
    std::fs::write(&file, "hello\n")?;
    let layer = folder.join("layer.tar");
    let made = Command::new("tar").arg("-cf").arg(&layer).arg("-C").arg(folder).arg("hello").status()?;
    ensure!(made.success());
    Ok(layer.display().to_string())
}

fn crane(sandbox: &Sandbox, arguments: &[&str]) -> Result<String> {
    let output = Command::new(sandbox.bin("crane")?).args(arguments).output()?;
    if !output.status.success() {
        bail!("crane {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
