package faultproxy

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// Mutator alters bodies, the same way for the same seed. Its methods may be called
// concurrently.
type Mutator struct {
	mu  sync.Mutex
	rng *rand.Rand
}

// NewMutator returns a Mutator for a seed.
func NewMutator(seed uint64) *Mutator {
	return &Mutator{rng: rand.New(rand.NewPCG(seed, ^seed))}
}

// Mutate returns body with one change to a value of its JSON, or more of them, or,
// where it is none or by chance, to its bytes. body itself stays as it is.
func (m *Mutator) Mutate(body []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := slices.Clone(body)
	for again := true; again; again = m.rng.IntN(2) == 0 {
		var doc any
		if m.rng.IntN(5) == 0 || json.Unmarshal(out, &doc) != nil {
			out = m.bytes(out)
			continue
		}
		if text, err := json.Marshal(m.value(doc)); err == nil {
			out = text
		}
	}
	return out
}

// bytes changes the text without looking at what it says.
func (m *Mutator) bytes(text []byte) []byte {
	if len(text) == 0 {
		return []byte(m.odd().(string))
	}
	at := m.rng.IntN(len(text))
	switch m.rng.IntN(6) {
	case 0:
		text[at] = byte(m.rng.Uint32())
	case 1:
		return text[:at]
	case 2:
		return slices.Insert(text, at, text[at:]...)
	case 3:
		return slices.Delete(text, at, at+1)
	case 4:
		return append(text, text...)
	case 5:
		return slices.Insert(text, at, []byte(m.odd().(string))...)
	}
	return text
}

// value changes one value somewhere in doc.
func (m *Mutator) value(doc any) any {
	switch v := doc.(type) {
	case map[string]any:
		keys := slices.Sorted(mapKeys(v))
		if len(keys) == 0 || m.rng.IntN(8) == 0 {
			return m.any()
		}
		key := keys[m.rng.IntN(len(keys))]
		switch m.rng.IntN(8) {
		case 0:
			delete(v, key)
		case 1:
			v[strings.ToUpper(key)] = m.any() // Go's decoder takes it for the same field
		default:
			v[key] = m.value(v[key])
		}
		return v
	case []any:
		if len(v) == 0 || m.rng.IntN(8) == 0 {
			return m.any()
		}
		i := m.rng.IntN(len(v))
		v[i] = m.value(v[i])
		return v
	case string:
		if at, err := time.Parse(time.RFC3339, v); err == nil && m.rng.IntN(3) > 0 {
			return m.moved(at)
		}
	}
	return m.any()
}

// moved is another time: up to some decades away, more often only a little.
func (m *Mutator) moved(at time.Time) string {
	reach := time.Duration(1) << (30 + m.rng.IntN(31)) // a second to 36 years
	return at.Add(time.Duration(m.rng.Int64N(int64(2*reach))) - reach).Format(time.RFC3339Nano)
}

func mapKeys(v map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range v {
			if !yield(key) {
				return
			}
		}
	}
}

// any draws a value of any type.
func (m *Mutator) any() any {
	switch m.rng.IntN(8) {
	case 0:
		return nil
	case 1:
		return m.rng.IntN(2) == 0
	case 2:
		return []any{0.0, -1.0, 1e308, 9.3e18, float64(m.rng.IntN(100))}[m.rng.IntN(5)]
	case 3:
		return []any{m.odd(), m.odd()}
	case 4:
		return map[string]any{"start": m.odd(), "end": m.odd()}
	}
	return m.odd()
}

// odd draws a string: dates of every sort, and what no reader should trip over.
func (m *Mutator) odd() any {
	return oddities[m.rng.IntN(len(oddities))]
}

var oddities = []any{
	"", " ", "\x00", "null", "NaN", "\u202e", "\x1b[2J", "../../etc/passwd", "javascript:alert(1)", "https://ca.example/a",
	"0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z",
	"2026-11-26T12:00:00Z", "2026-12-26T12:00:00Z", "2027-01-26T12:00:00Z", "2027-02-24T12:00:00+14:00",
	"2027-02-24T12:00:00-12:00", "2038-01-19T03:14:08Z", "2262-04-11T23:47:16Z", "2262-04-12T00:00:00Z",
	"9999-12-31T23:59:59Z", "10000-01-01T00:00:00Z", "-001-01-01T00:00:00Z", "2026-11-31T12:00:00Z",
	"2026-11-26T24:00:00Z", "2026-11-26T12:00:60Z", "2026-11-26t12:00:00z", "2026-11-26 12:00:00", "1764158400",
	"2026-11-26T12:00:00.123456789123456789Z", "2026-11-26T12:00:00", "valid", "pending", "processing", "invalid",
}
