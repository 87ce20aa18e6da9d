issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "c0" {
  names = ["n0.example"]
  renew { lifetime_left = "3/3" }
}
certificate "c1" {
  names = ["n1.example"]
  renew { lifetime_left = "0" }
}
certificate "c2" {
  names = ["n2.example"]
  renew { lifetime_left = 1/3 }
}
certificate "c3" {
  names = ["n3.example"]
  renew { lifetime_left = "1e-1" }
}
certificate "c4" {
  names = ["n4.example"]
  renew { lifetime_left = "95%" }
}
certificate "c5" {
  names = ["n5.example"]
  renew { lifetime_left = "30d" }
}
certificate "c6" {
  names = ["n6.example"]
  renew { lifetime_left = "1/0" }
}
certificate "c7" {
  names = ["n7.example"]
  renew { lifetime_left = "-1/3" }
}
certificate "c8" {
  names = ["n8.example"]
  renew { lifetime_left = null }
}
