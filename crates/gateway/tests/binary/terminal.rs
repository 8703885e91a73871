//! A command at a terminal, with a person in front of it.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read as _, Write as _},
    os::unix::ffi::OsStrExt as _,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

use super::*;

/// A terminal, from the side of the person.
struct Person {
    hands: File,
    terminal: File,
    seen: String,
}

impl Person {
    fn new() -> Self {
        let hands = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&hands).unwrap();
        unlockpt(&hands).unwrap();
        let name = ptsname(&hands, Vec::new()).unwrap();
        let name = OsStr::from_bytes(name.as_bytes());
        let terminal = File::options().read(true).write(true).open(name).unwrap();
        Self {
            hands: hands.into(),
            terminal,
            seen: String::new(),
        }
    }

    fn starts(&self, args: &[&str]) -> Child {
        let terminal = || Stdio::from(self.terminal.try_clone().unwrap());
        let mut command = gatewright();
        command.args(args).stdin(terminal()).stdout(terminal());
        command.stderr(terminal()).spawn().unwrap()
    }

    fn sees(&mut self, text: &str) {
        let mut bytes = [0; 1024];
        while !self.seen.contains(text) {
            let count = self.hands.read(&mut bytes).unwrap();
            self.seen += str::from_utf8(&bytes[..count]).unwrap();
        }
    }

    fn types(&mut self, keys: &[u8]) {
        self.hands.write_all(keys).unwrap();
    }

    fn would_see_what_is_typed(&self) -> bool {
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }
}

#[tokio::test]
async fn a_secret_that_is_typed_is_stored_and_not_shown() {
    const PLANTED: &str = "planted-0c4e-typed";
    let mut served = Served::start(200).await;
    let text = organisation(&served.idp, &served.server, "")
        .replace("[[servers]]\n", "[[servers]]\ncredential = 'shared'\n");
    served.apply(&text);
    let config = served.config();
    let put = [
        "vault",
        "put",
        "tools",
        "--shared",
        "--config",
        path(&config),
    ];
    let stored = || run(&["vault", "list", "--config", path(&config)]).1;

    // Who gives up stores nothing.
    let mut person = Person::new();
    let mut command = person.starts(&put);
    person.sees("Secret of shared at tools (not shown): ");
    assert!(!person.would_see_what_is_typed());
    person.types(b"planted-half\x03");
    assert_eq!(command.wait().unwrap().code(), Some(2));
    person.sees("nothing was stored");
    assert!(person.would_see_what_is_typed());
    assert!(!stored().contains("shared"));

    let mut person = Person::new();
    let mut command = person.starts(&put);
    person.sees("(not shown): ");
    // With a slip of the hand, and with a second line that is nobody's.
    person.types(format!("x\x7f{PLANTED}\rrest").as_bytes());
    assert_eq!(command.wait().unwrap().code(), Some(0));
    person.sees("stored for shared at tools");
    assert!(person.would_see_what_is_typed());
    assert!(!person.seen.contains("planted"), "{}", person.seen);
    assert!(stored().contains("shared"));

    let params = json!({"name": "headers", "arguments": {}});
    let answer = served
        .client
        .send(served.request("ann", "tools/call", params));
    let answer = message(&answer.await).to_string();
    assert!(answer.contains("authorization"), "{answer}");
    served.signal("TERM");
    assert_eq!(served.ends(), Some(0));
}

#[test]
fn nobody_is_asked_for_a_secret_where_no_gateway_runs() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("gatewright.toml");
    fs::write(&config, "public_url = 'https://gw.example'\n").unwrap();
    let mut person = Person::new();
    let put = [
        "vault",
        "put",
        "tools",
        "--shared",
        "--config",
        path(&config),
    ];
    assert_eq!(person.starts(&put).wait().unwrap().code(), Some(2));
    person.sees("nothing was changed");
    assert!(!person.seen.contains("Secret of"), "{}", person.seen);
}
