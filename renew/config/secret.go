package config

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is what every way of printing a Secret prints.
const redacted = "(secret)"

// String returns "(secret)".
func (s Secret) String() string { return redacted }

// GoString returns "(secret)".
func (s Secret) GoString() string { return redacted }

// Format prints "(secret)" for every verb, %x and %q included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue makes slog print "(secret)".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns "(secret)" as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns "(secret)".
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
