//! The least HTTP client that serves: one plain GET to a process on this machine.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const DEADLINE: Duration = Duration::from_secs(5);

/// Status code and body of `GET http://<address><path>`.
pub async fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    get_with(address, path, None).await
}

/// Likewise, with that bearer token.
///
/// HTTP/1.0, so the server answers without chunks and closes the connection at the end.
pub async fn get_with(address: SocketAddr, path: &str, token: Option<&str>) -> Result<(u16, String)> {
    let answer = timeout(DEADLINE, exchange(address, path, token))
        .await
        .with_context(|| format!("{address}{path} gave no answer within {DEADLINE:?}"))??;
    let (head, body) = answer.split_once("\r\n\r\n").context("answer without a header")?;
    let code = head.split_whitespace().nth(1).context("answer without a status code")?.parse()?;
    Ok((code, body.to_owned()))
}

async fn exchange(address: SocketAddr, path: &str, token: Option<&str>) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let authorization = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
