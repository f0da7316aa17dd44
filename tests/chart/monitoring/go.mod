// The CRDs of ServiceMonitor and PodMonitor, as the Prometheus operator has them, for the chart's tests.
module vistrain.dev/tests/monitoring

go 1.24

require github.com/prometheus-operator/prometheus-operator v0.85.0
