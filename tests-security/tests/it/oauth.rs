//! OAUTHBEARER with client credentials: a token endpoint of our own hands out unsigned tokens, the broker takes them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use kafkaesk_client::{Connection, Settings};

use crate::{
    secured::Secured,
    service::{Order, STREAM, prepared},
};

const SECRET: &str = "token-secret";

/// Answers `POST /token` until the test's runtime ends; counts the tokens that it gave.
struct TokenEndpoint {
    url: String,
    given: Arc<AtomicUsize>,
}

impl TokenEndpoint {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let given = Arc::new(AtomicUsize::new(0));
        let counter = given.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, counter.clone()));
            }
        });
        Self {
            url: format!("http://{address}/token"),
            given,
        }
    }
}

async fn answer(mut stream: TcpStream, given: Arc<AtomicUsize>) {
    let request = read_request(&mut stream).await;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("service:{SECRET}"));
    let knows_secret = request.contains(&format!("client_secret={SECRET}"))
        || request.contains(&format!("Basic {basic}"));
    let (status, body) = if request.contains("grant_type=client_credentials") && knows_secret {
        given.fetch_add(1, Ordering::Relaxed);
        (
            "200 OK",
            format!(
                r#"{{"access_token":"{}","token_type":"Bearer","expires_in":300}}"#,
                token()
            ),
        )
    } else {
        (
            "401 Unauthorized",
            r#"{"error":"invalid_client"}"#.to_owned(),
        )
    };
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(response.as_bytes()).await;
}

/// The head and, by its Content-Length, the body.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, value)| value.trim().parse::<usize>().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return text;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
            _ => return text,
        }
    }
}

/// An unsigned JSON Web Token for the subject `service`.
fn token() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let claims = format!(r#"{{"sub":"service","iat":{now},"exp":{}}}"#, now + 300);
    format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        URL_SAFE_NO_PAD.encode(claims)
    )
}

fn settings(broker: &Secured, endpoint: &TokenEndpoint, secret: &str) -> Settings {
    broker.tls(&[
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.oauthbearer.method", "oidc"),
        ("sasl.oauthbearer.token.endpoint.url", &endpoint.url),
        ("sasl.oauthbearer.client.id", "service"),
        ("sasl.oauthbearer.client.secret", secret),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn client_credentials_log_in() {
    let broker = prepared().await;
    let endpoint = TokenEndpoint::start().await;
    let connection = Connection::open(&settings(broker, &endpoint, SECRET))
        .await
        .expect("the token is taken");
    connection
        .publisher()
        .publish(STREAM, &Order { id: 6 })
        .await
        .expect("its subject may publish");
    assert!(endpoint.given.load(Ordering::Relaxed) >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_client_credentials_are_named() {
    let broker = prepared().await;
    let endpoint = TokenEndpoint::start().await;
    let error = Connection::open(&settings(broker, &endpoint, "wrong"))
        .await
        .expect_err("no token, no connection");
    let text = error.to_string();
    assert!(text.contains("401"), "{text}");
    assert!(text.contains(&endpoint.url), "{text}");
    assert_eq!(endpoint.given.load(Ordering::Relaxed), 0);
}
