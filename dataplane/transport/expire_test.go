package transport

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

// certified gives a side's configuration another end of its certificate, in seconds from now.
func (r *rig) certified(c *Config, seconds int64) {
	r.t.Helper()
	is, reason := identity.Parse(c.Handshake.Certificate)
	if reason != identity.OK {
		r.t.Fatal(reason)
	}
	is.NotAfter = (rigUnix+int64(r.now))/int64(core.Second) + seconds
	var err error
	if c.Handshake.Certificate, err = is.Sign(r.host); err != nil {
		r.t.Fatal(err)
	}
}

// TestExpiredCertificateOfAPeer: a peer's certificate is over while a session with it is open,
// whoever began that. The session goes on; renewals are refused and counted. A new certificate lets
// the next attempt succeed; without one the session ends when it is overdue, at both ends.
func TestExpiredCertificateOfAPeer(t *testing.T) {
	const life = 1 // seconds, less than until the first renewal
	for _, initiator := range []bool{true, false} {
		for _, renewed := range []bool{true, false} {
			r := newRig(t)
			good := r.add(renewing)
			var config Config
			bad := r.add(func(c *Config) {
				renewing(c)
				r.certified(c, life)
				config = *c
			})
			a, b := good, bad
			if !initiator {
				a, b = bad, good
			}
			sa, sb := r.connect(a, b, 0)
			at := map[*side]*follow{a: {now: sa}, b: {now: sb}}
			for s, f := range at {
				s.serve = f.serve
			}
			r.run(life*core.Second + 2*renewAgain)
			if a.e.counters.Renewals < 2 || at[a].now != sa || at[b].now != sb {
				t.Fatalf("%d attempts; %+v, %+v", a.e.counters.Renewals, *at[a], *at[b])
			}
			if good.e.HandshakeCount(handshake.ReasonCertificate) == 0 {
				t.Error("nobody counts why")
			}
			mustCall(r, a, sa, 1000)
			mustCall(r, b, sb, 1000)
			if !renewed {
				good.serve, bad.serve = nil, nil
				r.run(renewEvery + overdue)
				for _, s := range r.sides {
					if ev, ok := s.take(EventDown); !ok || ev.Cause != CauseExpired {
						t.Errorf("%t, %t: %+v", initiator, ok, ev)
					}
					if open, _ := s.e.Sessions(); open != 0 {
						t.Errorf("%d sessions are open", open)
					}
				}
				continue
			}
			r.certified(&config, 1000)
			if err := bad.e.Renew(config.Handshake.Certificate, r.trust); err != nil {
				t.Fatal(err)
			}
			r.run(renewAgain + core.Second)
			if at[a].now == sa || at[b].now == sb {
				t.Error("not renewed with the new certificate")
			}
			mustCall(r, a, at[a].now, 1000)
			mustCall(r, b, at[b].now, 1000)
			r.run(renewEvery + overdue)
			for s, f := range at {
				if _, ok := s.take(EventDown); ok || s.e.find(f.now) == nil {
					t.Errorf("a session has ended: %+v", *f)
				}
			}
		}
	}
}
