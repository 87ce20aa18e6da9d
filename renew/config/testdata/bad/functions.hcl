locals {
  a = file("missing.txt")
  b = jsondecode("{")
  c = upper("x")
  d = split(",")
  e = fileset("missing", "*")
  f = fileset(".", "[")
  g = file(7)
  h = 1 + "x"
  i = local.j.k
  j = {}
}
