use kafkaesk_schema::*;
fn main() {
    let kind = std::env::args().nth(1).unwrap(); let n: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let kb: usize = std::env::args().nth(3).unwrap().parse().unwrap();
    let schema = match kind.as_str() {
        "ref" => { let mut c: Vec<String> = (0..n).map(|i| format!(r##""d{i}":{{"$ref":"#/$defs/d{}"}}"##, i+1)).collect(); c.push(format!(r#""d{n}":{{"type":"string"}}"#));
            format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{}}}}}"##, c.join(",")) }
        "allof" => { let mut c: Vec<String> = (0..n).map(|i| format!(r##""d{i}":{{"allOf":[{{"$ref":"#/$defs/d{}"}},{{"type":["string","object"]}}]}}"##, i+1)).collect(); c.push(format!(r#""d{n}":{{"type":"string"}}"#));
            format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{}}}}}"##, c.join(",")) }
        "anyof" => { let mut c: Vec<String> = (0..n).map(|i| format!(r##""d{i}":{{"anyOf":[{{"type":"null"}},{{"oneOf":[{{"$ref":"#/$defs/d{}"}}, false]}}], "unevaluatedProperties":false}}"##, i+1)).collect(); c.push(format!(r#""d{n}":{{"type":"string"}}"#));
            format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{}}}}}"##, c.join(",")) }
        _ => panic!(),
    };
    std::thread::Builder::new().stack_size(kb*1024).spawn(move || {
        let d = Document::parse(schema).unwrap();
        let v = std::thread::Builder::new().stack_size(64<<20).spawn(move || Validator::new(&d).unwrap()).unwrap().join().unwrap();
        println!("compiled");
        println!("{:?}", v.validate(br#""x""#).is_ok());
        println!("{:?}", v.validate(br#"1"#).is_ok());
    }).unwrap().join().unwrap();
}
