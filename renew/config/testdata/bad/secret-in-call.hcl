locals {
  a = file("/nonexistent/${env("CERTVIGIL_TEST_SECRET")}")
  b = jsondecode(env("CERTVIGIL_TEST_SECRET"))
  c = fileset("/${env("CERTVIGIL_TEST_SECRET")}", "*")
  d = local.e.f[env("CERTVIGIL_TEST_SECRET")]
  e = { f = { g = 1 } }
}
