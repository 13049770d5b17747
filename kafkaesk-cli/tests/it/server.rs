//! A small HTTP server for the http handler: keeps what was posted, answers what the test says.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Posted {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Listens on a free loopback port until the test ends.
pub(crate) struct Server {
    pub(crate) url: String,
    posted: Arc<Mutex<Vec<Posted>>>,
}

impl Server {
    /// Answers each request with what this says: a status, further header lines and a body.
    pub(crate) fn start(
        answer: impl Fn(&Posted) -> (u16, &'static str, &'static str) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/orders", listener.local_addr().unwrap());
        let posted = Arc::new(Mutex::new(Vec::new()));
        let seen = posted.clone();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (seen.clone(), answer.clone());
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(request) = read(&mut reader) {
                        let (status, head, body) = answer(&request);
                        seen.lock().unwrap().push(request);
                        write(&stream, status, head, body);
                    }
                });
            }
        });
        Self { url, posted }
    }

    /// Everything posted so far, in order of arrival.
    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }
}

fn read(reader: &mut impl BufRead) -> Option<Posted> {
    let mut headers = HashMap::new();
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = match headers.get("content-length") {
        Some(length) => length.parse().ok()?,
        None => 0,
    };
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Posted { headers, body })
}

fn write(mut stream: &TcpStream, status: u16, head: &str, body: &str) {
    let _ = stream.write_all(
        format!(
            "HTTP/1.1 {status} X\r\n{head}content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
}
