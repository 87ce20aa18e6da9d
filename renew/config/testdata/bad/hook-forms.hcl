hook "none" {}
hook "empty" {
  reload {}
}
hook "two" {
  reload {
    unit    = "nginx.service"
    command = ["/bin/true"]
  }
}
hook "no-signal" {
  reload { pid_file = "/run/nginx.pid" }
}
hook "no-pid" {
  reload { signal = "HUP" }
}
hook "signals" {
  reload {
    pid_file = "run/nginx.pid"
    signal   = "hup"
  }
}
hook "kill" {
  reload {
    pid_file = "/run/nginx.pid"
    signal   = "KILL"
  }
}
hook "units" {
  test { unit = "nginx" }
  reload { unit = "nginx.socket" }
}
hook "unit" {
  test {}
  reload { unit = "nginx reload" }
}
hook "tests" {
  test = ["nginx", "-t"]
  test { unit = "t.service" }
  reload { unit = "nginx.service" }
  reload { unit = "nginx.service" }
}
hook "alone" {
  reload {
    process     = "nginx"
    try_restart = true
    certificate = "/etc/haproxy/certs/www.pem"
  }
}
hook "haproxy" {
  reload { haproxy = "/run/haproxy/admin.sock" }
}
hook "names" {
  reload {
    haproxy     = "haproxy/admin.sock"
    certificate = "/etc/haproxy/my certs/www.pem"
  }
}
hook "process" {
  reload {
    pid_file = "/run/nginx.pid"
    signal   = "HUP"
    process  = "sbin/nginx"
  }
}
hook "all" {
  reload {
    unit        = "nginx.service"
    try_restart = "yes"
    pid_file    = "/run/nginx.pid"
    signal      = "HUP"
    haproxy     = "/run/haproxy/admin.sock"
    certificate = "www.pem"
  }
}
hook "unknown" {
  reload {
    unit    = "nginx.service"
    restart = true
  }
}
hook "misspelled" {
  reload {
    haproxi     = "/run/haproxy/admin.sock"
    certificate = "www.pem"
  }
}
