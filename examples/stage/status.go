package stage

import "time"

// Status is what `certvigil status --json` prints, as far as an outsider needs
// it, and the exit code it came with. It is declared here on its own: whoever
// reads the status from outside has nothing but the documented JSON either.
type Status struct {
	Code         int                 `json:"-"`
	Version      string              `json:"version"`
	Running      bool                `json:"running"` // false: no agent answered, the state directory was read
	Certificates []CertificateStatus `json:"certificates"`
}

// CertificateStatus is one certificate of a Status.
type CertificateStatus struct {
	Name        string    `json:"name"`
	Names       []string  `json:"names"`
	Stage       string    `json:"stage"`
	Health      string    `json:"health"` // "ok", "attention" or "critical"
	Reason      string    `json:"reason"`
	Serial      string    `json:"serial"`
	Fingerprint string    `json:"fingerprint_sha256"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Version     int       `json:"version"`
	Next        struct {
		Do     string    `json:"do"`
		At     time.Time `json:"at"`
		Reason string    `json:"reason"`
	} `json:"next"`
	Failure   *FailureStatus   `json:"failure"` // nil without one
	Endpoints []EndpointStatus `json:"endpoints"`
}

// EndpointStatus is what one endpoint answered for one name.
type EndpointStatus struct {
	Address     string `json:"address"`
	Name        string `json:"name"`
	Served      bool   `json:"served"`
	Fingerprint string `json:"fingerprint_sha256"`
	Error       string `json:"error"`
}

// FailureStatus is the failure that a certificate has at the moment.
type FailureStatus struct {
	Stage   string    `json:"stage"`
	Class   string    `json:"class"`
	Message string    `json:"message"`
	Count   int       `json:"count"`
	Next    time.Time `json:"next"`
}

// Certificate returns the certificate of that name, false where there is none.
func (s Status) Certificate(name string) (CertificateStatus, bool) {
	for _, c := range s.Certificates {
		if c.Name == name {
			return c, true
		}
	}
	return CertificateStatus{}, false
}
