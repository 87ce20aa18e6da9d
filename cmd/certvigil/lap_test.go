package main

import "testing"

func TestALapEndsServedAndTheNextIsPlanned(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	h.start()
	h.served("www", 1)
	if got := h.ask("status"); got.code != exitOK {
		t.Errorf("status: exit code %d: %s", got.code, got.all)
	}
	h.request("www")
	h.served("www", 2)
	if _, code := h.stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}
