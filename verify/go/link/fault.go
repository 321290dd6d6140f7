// Package link is the envelope of chapter 11, written from that chapter with nothing but Go's standard library.
package link

import "fmt"

// Fault is a broken requirement. Kind is the class that a vector names in "fails".
type Fault struct {
	Kind   string
	Detail string
}

func (f *Fault) Error() string { return f.Kind + ": " + f.Detail }

func faultf(kind, format string, args ...any) *Fault {
	return &Fault{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// Skipped is a primitive that the standard library lacks.
type Skipped struct{ What string }

func (s *Skipped) Error() string { return s.What }

// MlDsa65 cannot be had before Go 1.27.
var MlDsa65 = &Skipped{What: "ML-DSA-65"}
