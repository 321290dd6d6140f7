/*
 * Chapter 11.8: one ticket, the store that two nodes share, and hellos with it: the device's,
 * copies that somebody has recorded, and guesses with a wrong binder. Meanwhile a record on the
 * link that the ticket was issued on may turn out wrong. Switches (-D) plant one bug each; see
 * chapter 15.
 */

#ifndef NODES
#define NODES 2
#endif
#ifndef COPIES
#define COPIES 2    /* of a hello of the device */
#endif
#ifndef GUESSES
#define GUESSES 5   /* hellos with a wrong binder */
#endif
#define WRONG_MAX 3 /* [ENV-44] */

bool live = true;           /* in the store */
byte wrong;                 /* in the store: wrong binders */
byte taken;                 /* handshakes that went on with the ticket */
byte judgedWrong;           /* all wrong binders that a node has seen for it */
bool revoked;               /* [ENV-47] was done */
byte hellos = 1 + COPIES, guesses = GUESSES;
bool recordFails = true;

/* One step of the store: whoever finds the ticket has it, and nobody after him. */
inline take(found) {
#ifdef READ_THEN_DELETE
  atomic { found = live }
  atomic { live = false }
#else
  atomic { found = live; live = false }
#endif
}

proctype Node() {
  bool known, found;
  byte wrongHere;
end:
  do
  :: atomic { hellos > 0 -> hellos--; known = live }    /* reads the secret, for the binder */
    if
    :: known ->
#ifdef DELETE_AFTER_ANSWER
        found = known;
#else
        take(found);
#endif
        atomic {
          if
          :: found ->
              /* An offer may be refused all the same: the ticket is gone then too [ENV-45]. */
              if
              :: taken++
              :: skip
              fi;
              assert(taken <= 1)                        /* ENV-44 */
          :: else
          fi
        }
#ifdef DELETE_AFTER_ANSWER
        live = false
#endif
    :: else
    fi;
    atomic { known = false; found = false }
  :: atomic { guesses > 0 -> guesses--; known = live }
    if
    :: known ->
        atomic {
          judgedWrong++;
#ifdef WRONG_BY_NODE
          wrongHere++;
          if
          :: wrongHere >= WRONG_MAX -> live = false
          :: else
          fi
#else
          wrong++;
          if
          :: wrong >= WRONG_MAX -> live = false
          :: else
          fi
#endif
          assert(!live || judgedWrong < WRONG_MAX)      /* ENV-44 */
        }
    :: else
    fi;
    known = false
  od
}

/* The link that the ticket came on: its first bad record revokes before the link is gone. */
proctype Link() {
  if
#ifdef NOT_REVOKED
  :: recordFails -> revoked = true
#else
  :: recordFails -> atomic { live = false; revoked = true }
#endif
  :: true
  fi
}

/* Whoever looks once the link is gone finds no ticket. */
proctype Watch() {
end:
  atomic { revoked -> assert(!live) }                   /* ENV-47 */
}

init {
  byte i;
  atomic {
    do
    :: i < NODES -> run Node(); i++
    :: else -> break
    od;
    run Link(); run Watch()
  }
}
