//! A small collector: takes spans by OTLP over HTTP, and keeps them.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::KeyValue,
    common::v1::any_value::Value, trace::v1::Span,
};
use prost::Message as _;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Takes everything.
    Takes,
    /// Answers with this status and keeps nothing.
    Refuses(u16),
    /// Reads a request and never answers.
    Silent,
}

/// A collector that runs until the test's end.
#[derive(Clone, Debug)]
pub struct Collector {
    /// Its address, without a path.
    pub url: String,
    spans: Arc<Mutex<Vec<Collected>>>,
    requests: Arc<AtomicUsize>,
}

/// A span as it came.
#[derive(Clone, Debug)]
pub struct Collected {
    /// Its name.
    pub name: String,
    /// The trace's id, as hexadecimal text.
    pub trace: String,
    /// Its own id.
    pub span: String,
    /// Its parent's id; empty for a root.
    pub parent: String,
    /// Trace and span of each link.
    pub links: Vec<(String, String)>,
    /// 4: a producer's; 5: a consumer's.
    pub kind: i32,
    /// 2: an error.
    pub status: i32,
    /// As text.
    pub attributes: BTreeMap<String, String>,
    /// The resource's `service.name`.
    pub service: String,
    /// The scope's.
    pub schema_url: String,
}

impl Collected {
    /// An attribute; empty without it.
    pub fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Collector {
    /// Listens at a free port of loopback.
    ///
    /// # Panics
    /// Without such a port.
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            spans: Arc::default(),
            requests: Arc::default(),
        };
        let own = collector.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let own = own.clone();
                thread::spawn(move || own.serve(stream, manner));
            }
        });
        collector
    }

    fn serve(&self, stream: TcpStream, manner: Manner) {
        let mut stream = BufReader::new(stream);
        while let Some(body) = request(&mut stream) {
            self.requests.fetch_add(1, SeqCst);
            let status = match manner {
                Manner::Takes => {
                    self.keep(&body);
                    200
                }
                Manner::Refuses(status) => status,
                Manner::Silent => continue,
            };
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
            if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn keep(&self, body: &[u8]) {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        let mut spans = self.spans.lock().unwrap();
        for resource in request.resource_spans {
            let of = attributes(&resource.resource.unwrap_or_default().attributes);
            let service = of.get("service.name").cloned().unwrap_or_default();
            for scope in resource.scope_spans {
                let new = scope.spans.into_iter();
                spans.extend(new.map(|span| collected(span, &service, &scope.schema_url)));
            }
        }
    }

    /// What came so far.
    pub fn spans(&self) -> Vec<Collected> {
        self.spans.lock().unwrap().clone()
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }

    /// Waits until this holds of what came.
    ///
    /// # Panics
    /// After a minute.
    pub fn until(&self, holds: impl Fn(&[Collected]) -> bool) -> Vec<Collected> {
        for _ in 0..1_200 {
            let spans = self.spans();
            if holds(&spans) {
                return spans;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("they never were as expected: {:#?}", self.spans());
    }
}

/// The body of the next request.
fn request(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |it: &KeyValue| match it.value.as_ref().and_then(|it| it.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    all.iter().map(|it| (it.key.clone(), text(it))).collect()
}

fn collected(span: Span, service: &str, schema_url: &str) -> Collected {
    let links = span.links.iter();
    Collected {
        links: links
            .map(|link| (hex(&link.trace_id), hex(&link.span_id)))
            .collect(),
        trace: hex(&span.trace_id),
        span: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        kind: span.kind,
        status: span.status.map_or(0, |status| status.code),
        attributes: attributes(&span.attributes),
        name: span.name,
        service: service.to_owned(),
        schema_url: schema_url.to_owned(),
    }
}
