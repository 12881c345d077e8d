//go:build never

// Package checks keeps in go.mod what is not called, only read: the types from which the Prometheus Operator's
// CustomResourceDefinitions are generated.
package checks

import _ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
