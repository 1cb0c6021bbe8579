package transport

import "testing"

// mustAudit checks what must hold at any time.
func (e *Endpoint) mustAudit(t testing.TB) {
	t.Helper()
	if err := e.Audit(); err != nil {
		t.Fatal(err)
	}
}
