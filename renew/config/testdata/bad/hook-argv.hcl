hook "h0" {
  test = ["nginx -s reload"]
  reload { unit = "nginx.service" }
}
hook "h1" {
  test = "nginx -t"
  reload { unit = "nginx.service" }
}
hook "h2" {
  test = []
  reload { unit = "nginx.service" }
}
hook "h3" {
  test = ["./check.sh"]
  reload { unit = "nginx.service" }
}
hook "h4" {
  test = ["nginx;reboot"]
  reload { unit = "nginx.service" }
}
hook "h5" {
  test = ["/usr/sbin/nginx -t"]
  reload { unit = "nginx.service" }
}
hook "h6" {
  test = ["$(which nginx)"]
  reload { unit = "nginx.service" }
}
hook "h7" {
  test = ["", "-t"]
  reload { unit = "nginx.service" }
}
hook "h8" {
  test = ["nginx", 5]
  reload { unit = "nginx.service" }
}
hook "h9" {
  test = ["/usr/../bin/x"]
  reload { unit = "nginx.service" }
}
