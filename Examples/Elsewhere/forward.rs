// Forwards one connection, both ways.
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let listener = TcpListener::bind(format!("127.0.0.1:{}", words[1])).await?;
    let (mut client, _) = listener.accept().await?;
    let mut server = TcpStream::connect(format!("{}:{}", words[2], words[3])).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
