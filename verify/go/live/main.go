// Command live talks to a running service over a sealed link, with nothing of the service's own code:
//
//	go -C verify/go run ./live HOST PORT PIN USER [SUITE]
//
// It shakes hands, attaches a fresh device of USER, sends a message to USER and waits until it comes back; then it changes
// its key and does so again. It prints one line, or says what went wrong with status 1.
package main

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"strconv"

	"posthorn/verify/link"
)

func main() {
	if len(os.Args) < 5 || len(os.Args) > 6 {
		fmt.Fprintln(os.Stderr, "usage: live HOST PORT PIN USER [SUITE]")
		os.Exit(2)
	}
	suites := []uint64{2, 3, 1}
	if len(os.Args) == 6 {
		suite, err := strconv.ParseUint(os.Args[5], 10, 16)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		suites = []uint64{suite}
	}
	suite, text, err := talk(net.JoinHostPort(os.Args[1], os.Args[2]), os.Args[3], os.Args[4], suites)
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Printf("suite %d: %q came back\n", suite, text)
}

// talk returns the suite in force and the text that came back.
func talk(address, pin, user string, suites []uint64) (suite uint64, text string, err error) {
	id, err := link.ReadPin(pin)
	if err != nil {
		return 0, "", err
	}
	client, err := link.Dial(address, id, suites)
	if err != nil {
		return 0, "", err
	}
	session := &Session{link: client, user: user, device: "verify-" + rand.Text()}
	if err := session.Attach(); err != nil {
		return 0, "", err
	}
	for _, turn := range []string{"once", "under the next key"} {
		text = turn + ", " + rand.Text()
		if err := session.Say(user, text); err != nil {
			return 0, "", err
		}
		heard, err := session.Hear()
		if err != nil {
			return 0, "", err
		}
		if heard != text {
			return 0, "", fmt.Errorf("%q came back for %q", heard, text)
		}
		if err := client.UpdateKey(true); err != nil {
			return 0, "", err
		}
	}
	return client.Suite, text, session.Close()
}
