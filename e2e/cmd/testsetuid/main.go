// Command testsetuid prints its effective user, which a set-user-id bit changes
// unless the container forbids new privileges.
package main

import (
	"fmt"
	"os"
)

func main() { fmt.Println("Effective uid:", os.Geteuid()) }
