//! The plain proxy that everything is compared with.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::process::{Running, free_address};

/// Starts nginx as one process that proxies everything to the server and writes no access log; `None` where it is not
/// installed.
pub(crate) fn start(folder: &Path, server: SocketAddr) -> Result<Option<(Running, SocketAddr)>> {
    // Debian installs it where only root looks for programs.
    let program = ["nginx", "/usr/sbin/nginx"]
        .into_iter()
        .find(|program| Command::new(program).arg("-v").output().is_ok());
    let Some(program) = program else {
        return Ok(None);
    };
    let folder = folder.join("nginx");
    fs::create_dir_all(&folder)?;
    let address = free_address()?;
    let config = folder.join("nginx.conf");
    fs::write(&config, configuration(&folder, address, server)?)?;
    let mut command = Command::new(program);
    command.arg("-p").arg(&folder).arg("-c").arg(&config);
    command.arg("-e").arg(folder.join("error.log"));
    let mut running = Running::start("nginx", &mut command, &folder)?;
    running.wait_until_open(address)?;
    Ok(Some((running, address)))
}

fn configuration(folder: &Path, address: SocketAddr, server: SocketAddr) -> Result<String> {
    let folder = folder.to_str().context("a path in UTF-8")?;
    // Without a master the worker is the process that was started.
    Ok(format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid {folder}/nginx.pid;\n\
         error_log {folder}/error.log crit;\nevents {{ worker_connections 4096; }}\n\
         http {{\n\
         access_log off;\nkeepalive_requests 1000000000;\ntcp_nodelay on;\n\
         client_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\nfastcgi_temp_path {folder}/fastcgi;\n\
         uwsgi_temp_path {folder}/uwsgi;\nscgi_temp_path {folder}/scgi;\n\
         upstream server {{ server {server}; keepalive 256; keepalive_requests 1000000000; }}\n\
         server {{ listen {address} backlog=1024;\n\
         location / {{ proxy_pass http://server; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}\n\
         }}\n}}\n"
    ))
}
