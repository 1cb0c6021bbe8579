package identity

// Reason says why a certificate is not believed. The values index counters and are exported as
// metric labels: new ones go to the end.
type Reason uint8

const (
	OK              Reason = iota
	ReasonMalformed        // not the one form that a certificate has
	ReasonVersion          // another version of the format
	ReasonCluster          // of another cluster
	ReasonHost             // the cluster file has no such host
	ReasonExpired          // its last second is over
	ReasonAllow            // the allow-list has no such runtime
	ReasonSignature        // no pinned key of that host has signed it
	ReasonKey              // of another key than the handshake proved

	ReasonCount = iota // number of reasons, OK included
)

var reasonText = [ReasonCount]string{
	OK:              "ok",
	ReasonMalformed: "malformed certificate",
	ReasonVersion:   "certificate version",
	ReasonCluster:   "foreign cluster",
	ReasonHost:      "unknown host",
	ReasonExpired:   "expired",
	ReasonAllow:     "not allowed",
	ReasonSignature: "bad signature",
	ReasonKey:       "certificate of another key",
}

func (r Reason) String() string {
	if int(r) < len(reasonText) {
		return reasonText[r]
	}
	return "reason?"
}
