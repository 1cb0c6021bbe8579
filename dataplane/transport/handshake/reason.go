package handshake

import "github.com/dunlin-io/dunlin/dataplane/transport/identity"

// Reason says why a message or an attempt came to nothing. The values index counters and are
// exported as metric labels: new ones go to the end.
type Reason uint8

const (
	OK                Reason = iota
	ReasonLength             // not the size of its kind
	ReasonKind               // no kind of ours
	ReasonVersion            // another version
	ReasonReserved           // a bit or byte that must be zero is not
	ReasonMode               // one side is insecure and the other is not
	ReasonMAC                // mac1 is wrong: whoever sent it does not know our key
	ReasonCookieAsked        // under load: a cookie was sent, to come again with
	ReasonDropped            // under load: not even a cookie
	ReasonRate               // a proved address, too often
	ReasonBusy               // too many handshakes under way
	ReasonUnknown            // answers nothing that we have under way
	ReasonCookie             // a cookie that does not open
	ReasonNoise              // does not decrypt: forged, damaged, or for another key
	ReasonWeak               // a public key that everybody knows the secret of
	ReasonPayload            // decrypts to nonsense
	ReasonCertificate        // see Doubts
	ReasonPeer               // not the peer that we called
	ReasonSelf               // our own key
	ReasonReplay             // stamp not above the last one of that key
	ReasonEarly              // that key began a handshake less than 20 ms ago
	ReasonCrossed            // both began; ours goes on
	ReasonRefused            // Refuse
	ReasonExpired            // no job came back, or no Accept, in time
	ReasonGivenUp            // an own attempt without an answer
	ReasonClosed             // the machine is closed

	ReasonCount = iota // number of reasons, OK included
)

var reasonText = [ReasonCount]string{
	OK:                "ok",
	ReasonLength:      "length",
	ReasonKind:        "unknown kind",
	ReasonVersion:     "version",
	ReasonReserved:    "reserved bits",
	ReasonMode:        "insecure and secure",
	ReasonMAC:         "bad mac",
	ReasonCookieAsked: "cookie asked",
	ReasonDropped:     "dropped under load",
	ReasonRate:        "address too often",
	ReasonBusy:        "busy",
	ReasonUnknown:     "unknown attempt",
	ReasonCookie:      "bad cookie",
	ReasonNoise:       "does not decrypt",
	ReasonWeak:        "weak public key",
	ReasonPayload:     "bad payload",
	ReasonCertificate: "bad certificate",
	ReasonPeer:        "another peer",
	ReasonSelf:        "own key",
	ReasonReplay:      "replayed",
	ReasonEarly:       "key too often",
	ReasonCrossed:     "crossed",
	ReasonRefused:     "refused",
	ReasonExpired:     "not answered in time",
	ReasonGivenUp:     "given up",
	ReasonClosed:      "closed",
}

func (r Reason) String() string {
	if int(r) < len(reasonText) {
		return reasonText[r]
	}
	return "reason?"
}

// Count is how often something came to nothing for that reason, OK for messages that were taken.
func (m *Machine) Count(r Reason) uint64 { return m.counts[r] }

// Doubts is how often a certificate was not believed for that reason.
func (m *Machine) Doubts(r identity.Reason) uint64 { return m.doubts[r] }

// note counts and returns r.
func (m *Machine) note(r Reason) Reason {
	m.counts[r]++
	return r
}
