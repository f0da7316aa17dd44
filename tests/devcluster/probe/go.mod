module vistrain.dev/tests/probe

go 1.26.0
